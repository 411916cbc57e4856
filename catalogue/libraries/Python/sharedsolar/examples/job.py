# Carries out what the gateway asks for, once however often it asks. Off stays off until on.
# ***[runs_content]***
kind, job_id, cid, amount = data
meter.job(kind, job_id, cid, amount)
