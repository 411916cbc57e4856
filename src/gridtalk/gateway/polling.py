"""The addresses that a meter polls by HTTP for its jobs (gateway.md 4), with the meter's own key.

``GET /jobs/meter/<id>/`` gives the texts of the meter's open jobs one after the other;
``DELETE /jobs/job/<id>/`` says that one is done. An answer that says *jobs* hands them over: credit
is given once to a meter that might apply it twice.
"""

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from gridtalk.core import secrets
from gridtalk.core.errors import NotAllowed
from gridtalk.gateway.callers import key_given, refused_note
from gridtalk.gateway.replies import reply_job_done
from gridtalk.gateway.webhooks import plain, webhook
from gridtalk.grid.models import Meter
from gridtalk.jobs.services import job_acknowledge, jobs_for_poll


@webhook("GET")
def meter_jobs(request: HttpRequest, meter_id: int) -> HttpResponse:
    """The open jobs' texts, one after the other, nothing between; empty where there are none."""
    meter = _meter(request, {"pk": meter_id}, address="/jobs/meter")
    return plain("".join(jobs_for_poll(meter=meter)))


@webhook("DELETE")
def job_done(request: HttpRequest, job_id: int) -> HttpResponse:
    """The meter has carried out a job; it may say so as often as it likes."""
    meter = _meter(request, {"circuits__jobs": job_id}, address="/jobs/job")
    with transaction.atomic():
        done = job_acknowledge(job_id=job_id, meter=meter)
        if done.first:
            reply_job_done(job=done.job, circuit=done.circuit, status_said=done.status_said)
    return plain("ok")


def _meter(request: HttpRequest, wanted: dict[str, int], *, address: str) -> Meter:
    """The meter that is meant, whose key the request carries.

    Raises :class:`NotAllowed`, alike whether there is no such meter or the key is wrong.
    """
    meter = Meter.objects.filter(retired_at__isnull=True, active=True, **wanted).first()
    if secrets.key_matches(key_given(request), meter.key_hash if meter else "0" * 64) and meter:
        return meter
    reason = f"wrong or missing key for {f'meter {meter.name}' if meter else 'an unknown meter'}"
    refused_note(request, 0, address=address, reason=reason)
    raise NotAllowed("wrong key")
