The next message of PcuLog-I which the gateway has not acknowledged.
// ***[runs_content]***
values = meter.next("PcuLog-I");
