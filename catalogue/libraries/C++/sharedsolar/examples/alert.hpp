The next message of Alert-I which the gateway has not acknowledged.
// ***[runs_content]***
values = meter.next("Alert-I");
