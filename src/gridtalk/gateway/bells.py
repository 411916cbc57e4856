"""The bells that say that texts came in, and that jobs fall due."""

from gridtalk.core.drains import drain_bell

HANDLE = drain_bell("gridtalk.gateway.handle")
JOBS = drain_bell("gridtalk.gateway.jobs")
