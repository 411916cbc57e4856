"""Jobs: read, and asked for."""

from typing import Annotated, Any

from django.db.models import Max
from django.http import HttpRequest
from ninja import Header, Router, Status

from gridtalk.api.paging import page_before
from gridtalk.api.schemas import JobIn, JobOut, JobsOut, Limit
from gridtalk.core import money
from gridtalk.core.errors import NotFound, UserError
from gridtalk.grid.models import Circuit
from gridtalk.jobs import services as jobs_services
from gridtalk.jobs.credit import credit_add
from gridtalk.jobs.models import OPEN_STATES, AddCredit, Job
from gridtalk.users.models import Permission, User
from gridtalk.users.once import once
from gridtalk.users.permissions import permission_check, requires, signed_in

router = Router(tags=["jobs"])

#: Kind and ended states have no index: a list by them looks at so many of the newest jobs.
NEWEST = 200_000
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key")]


def _jobs() -> Any:
    return Job.objects.select_related("addcredit")


@router.get("jobs", response=JobsOut, summary="Jobs, newest first")
@requires(Permission.VIEW)
def job_list(
    request: HttpRequest,
    circuit: int | None = None,
    state: str | None = None,
    kind: str | None = None,
    before: int | None = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """Jobs; by kind or an ended state only among the newest 200,000."""
    found = _jobs()
    if circuit is not None:
        found = found.filter(circuit_id=circuit)
    if state is not None:
        found = found.filter(state=state)
    if kind is not None:
        found = found.filter(kind=kind)
    if circuit is None and (kind is not None or (state and state not in OPEN_STATES)):
        newest = Job.objects.aggregate(newest=Max("pk"))["newest"] or 0
        found = found.filter(pk__gt=newest - NEWEST)
    return page_before(found, before=before, limit=limit)


@router.get("jobs/{job_id}", response=JobOut, summary="One job")
@requires(Permission.VIEW)
def job_get(request: HttpRequest, job_id: int) -> Job:
    """A job by its id."""
    job: Job | None = _jobs().filter(pk=job_id).first()
    if job is None:
        raise NotFound(f"there is no job {job_id}")
    return job


@router.post("jobs", response={201: JobOut, 200: JobOut}, summary="Ask a meter for something")
@requires(Permission.VIEW)
def job_create(
    request: HttpRequest, body: JobIn, idempotency_key: IdempotencyKey = None
) -> Status[Job]:
    """Switch, ping, or add credit (``amount`` and ``reason``).

    With the header ``Idempotency-Key`` (required for credit) the same request, repeated after a
    time-out, gives the first one's job with status 200 instead of a second job.
    """
    user = signed_in(request)
    credit = body.kind == AddCredit.KIND
    permission_check(user, Permission.MONEY if credit else Permission.SEND)
    circuit = Circuit.objects.select_related("meter").filter(pk=body.circuit).first()
    if circuit is None:
        raise NotFound(f"there is no circuit {body.circuit}")
    if credit and idempotency_key is None:
        raise UserError(
            "credit needs the header Idempotency-Key: any text that is new for each new credit, "
            "and the same when you repeat a request"
        )
    if idempotency_key is None:
        return Status(201, job_get_created(_make(body, circuit, user)))
    what = f"job {body.kind} {circuit.pk} {body.amount}"
    done = once(user=user, key=idempotency_key, what=what, make=lambda: _make(body, circuit, user))
    return Status(201 if done.first else 200, job_get_created(done.id))


def job_get_created(job_id: int) -> Job:
    """The job as the answer shows it."""
    job: Job = _jobs().get(pk=job_id)
    return job


def _make(body: JobIn, circuit: Circuit, user: User) -> int:
    if body.kind == AddCredit.KIND:
        if body.amount is None:
            raise UserError("credit needs an amount")
        amount = money.parse(str(body.amount))
        job: Job = credit_add(circuit=circuit, amount=amount, user=user, reason=body.reason)
        return job.id
    job = jobs_services.job_request(
        kind=body.kind, circuit=circuit, user=user, requested_by=Job.Requester.API
    )
    return job.id
