"""The Job family, in an explicit list."""

from gridtalk.core.families import Family

JOBS = Family(
    "jobs.Job", ["jobs.AddCredit", "jobs.TurnOn", "jobs.TurnOff", "jobs.Mping", "jobs.Cping"]
)
