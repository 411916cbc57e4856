The next message of PrimaryLog-I which the gateway has not acknowledged.
// ***[runs_content]***
values = meter.next("PrimaryLog-I");
