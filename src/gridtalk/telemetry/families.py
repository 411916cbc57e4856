"""The Log family, in an explicit list."""

from gridtalk.core.families import Family

LOGS = Family("telemetry.Log", ["telemetry.PrimaryLog", "telemetry.PCULog"])
