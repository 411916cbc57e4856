The next message of Alert-I which the gateway has not acknowledged.
// ***[runs_content]***
meter.next(sharedsolar::ALERT, values);
