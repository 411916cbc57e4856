# The next message of Alert-I which the gateway has not acknowledged.
# ***[runs_content]***
message = meter.next("Alert-I")
if message is not None:
    values = message
