The next message of PrimaryLog-I which the gateway has not acknowledged.
// ***[runs_content]***
meter.next(sharedsolar::PRIMARY_LOG, values);
