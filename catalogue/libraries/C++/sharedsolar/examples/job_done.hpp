The next message of JobDone-I which the gateway has not acknowledged.
// ***[runs_content]***
values = meter.next("JobDone-I");
