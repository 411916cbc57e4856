The gateway has stored a message.
// ***[runs_content]***
meter.ack(data.text(0));
