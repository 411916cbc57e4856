# Carries out what the gateway asks for, once however often it asks.
# ***[runs_content]***
kind, job_id, cid, amount = data
meter.job(kind, job_id, cid, amount)
