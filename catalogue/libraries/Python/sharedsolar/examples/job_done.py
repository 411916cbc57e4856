# The next message of JobDone-I which the gateway has not acknowledged.
# ***[runs_content]***
message = meter.next("JobDone-I")
if message is not None:
    values = message
