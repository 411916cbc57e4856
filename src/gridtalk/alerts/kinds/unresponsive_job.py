"""A meter did not acknowledge a job."""

from gridtalk.alerts.kinds.base import AlertKind
from gridtalk.alerts.models import Alert, UnresponsiveJob


class UnresponsiveJobKind(AlertKind):
    """Raised by the gateway, one for each job (the topic is its id); cleared when the job ended.

    An expired job has ended without an answer, so its alert stands until its meter acknowledges a
    later job, or a person has seen it.
    """

    model = UnresponsiveJob

    def closed_by_acknowledgement(self, alert: Alert) -> bool:
        """Where the job has ended nothing more will come."""
        assert isinstance(alert, UnresponsiveJob)
        return alert.job.ended_at is not None
