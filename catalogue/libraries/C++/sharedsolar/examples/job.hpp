Carries out what the gateway asks for, once however often it asks. Off stays off until on.
// ***[runs_content]***
meter.job(data.at(0), data.at(1), data.at(2), data.at(3));
