Carries out what the gateway asks for, once however often it asks. Off stays off until on.
// ***[runs_content]***
meter.job(data);
