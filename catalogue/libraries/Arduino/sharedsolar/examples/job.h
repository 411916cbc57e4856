Carries out what the gateway asks for, once however often it asks.
// ***[runs_content]***
meter.job(data);
