# The next message of PcuLog-I which the gateway has not acknowledged.
# ***[runs_content]***
message = meter.next("PcuLog-I")
if message is not None:
    values = message
