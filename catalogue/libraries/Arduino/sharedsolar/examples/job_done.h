The next message of JobDone-I which the gateway has not acknowledged.
// ***[runs_content]***
meter.next(sharedsolar::JOB_DONE, values);
