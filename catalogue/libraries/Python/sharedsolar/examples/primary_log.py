# The next message of PrimaryLog-I which the gateway has not acknowledged.
# ***[runs_content]***
message = meter.next("PrimaryLog-I")
if message is not None:
    values = message
