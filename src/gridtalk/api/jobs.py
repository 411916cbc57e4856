"""Jobs: read, and asked for."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Header, Router, Status

from gridtalk.api.paging import page_before
from gridtalk.api.schemas import JobIn, JobOut, JobsOut, Limit
from gridtalk.core import money
from gridtalk.core.errors import NotFound, UserError
from gridtalk.grid.models import Circuit
from gridtalk.jobs import services as jobs_services
from gridtalk.jobs.credit import credit_add
from gridtalk.jobs.models import AddCredit, Job
from gridtalk.jobs.selectors import job_rows
from gridtalk.users.models import Permission, User
from gridtalk.users.once import once
from gridtalk.users.permissions import permission_check, requires, signed_in

router = Router(tags=["jobs"])

IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key")]


def _jobs() -> Any:
    return Job.objects.select_related("addcredit")


@router.get("jobs", response=JobsOut, summary="Jobs, newest first")
@requires(Permission.VIEW)
def job_list(
    request: HttpRequest,
    circuit: int | None = None,
    meter: int | None = None,
    state: str | None = None,
    kind: str | None = None,
    before: int | None = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """Jobs of a circuit, of a meter, or all; all by kind or an ended state only among the newest
    200,000."""
    found = job_rows(meter_id=meter, circuit_id=circuit, state=state or "", kind=kind or "")
    return page_before(found.select_related("addcredit"), before=before, limit=limit)


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
        job: Job = credit_add(
            circuit=circuit,
            amount=amount,
            user=user,
            reason=body.reason,
            requested_by=Job.Requester.API,
        )
        return job.id
    job = jobs_services.job_request(
        kind=body.kind, circuit=circuit, user=user, requested_by=Job.Requester.API
    )
    return job.id
