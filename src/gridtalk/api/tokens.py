"""Token batches: read, made, exported."""

from typing import Any

from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from ninja import Router, Status

from gridtalk.api.jobs import IdempotencyKey
from gridtalk.api.paging import page_before
from gridtalk.api.schemas import Limit, TokenBatchesOut, TokenBatchIn, TokenBatchOut
from gridtalk.core import money
from gridtalk.core.errors import NotFound, UserError
from gridtalk.prepaid.exports import token_batch_csv
from gridtalk.prepaid.models import Token, TokenBatch
from gridtalk.prepaid.services import token_batch_create
from gridtalk.users.audit import audit
from gridtalk.users.models import Permission
from gridtalk.users.once import once
from gridtalk.users.permissions import requires, signed_in

router = Router(tags=["tokens"])


def _with_states(batches: list[Any]) -> list[Any]:
    for batch in batches:
        batch.states = []
    by_id = {batch.pk: batch for batch in batches}
    counted = (
        Token.objects.filter(batch__in=batches)
        .order_by()
        .values("batch_id", "state")
        .annotate(number=Count("pk"), worth=Sum("value"))
    )
    for row in counted:
        by_id[row["batch_id"]].states.append(row)
    return batches


def _batch(batch_id: int) -> TokenBatch:
    batch = TokenBatch.objects.filter(pk=batch_id).first()
    if batch is None:
        raise NotFound(f"there is no token batch {batch_id}")
    return batch


@router.get("token-batches", response=TokenBatchesOut, summary="Token batches, newest first")
@requires(Permission.VIEW)
def batch_list(
    request: HttpRequest, before: int | None = None, limit: Limit = 100
) -> dict[str, Any]:
    """Batches with their tokens counted by state."""
    page = page_before(TokenBatch.objects.all(), before=before, limit=limit)
    return {**page, "items": _with_states(page["items"])}


@router.get("token-batches/{batch_id}", response=TokenBatchOut, summary="One token batch")
@requires(Permission.VIEW)
def batch_get(request: HttpRequest, batch_id: int) -> TokenBatch:
    """A batch with its tokens counted by state."""
    batch: TokenBatch = _with_states([_batch(batch_id)])[0]
    return batch


@router.post(
    "token-batches", response={201: TokenBatchOut, 200: TokenBatchOut}, summary="Make tokens"
)
@requires(Permission.MONEY)
def batch_create(
    request: HttpRequest, body: TokenBatchIn, idempotency_key: IdempotencyKey = None
) -> Status[TokenBatch]:
    """Make ``count`` tokens worth ``value`` each; the header ``Idempotency-Key`` is required."""
    if idempotency_key is None:
        raise UserError(
            "tokens need the header Idempotency-Key: any text that is new for each new batch, and "
            "the same when you repeat a request"
        )
    user = signed_in(request)
    value = money.parse(str(body.value))
    done = once(
        user=user,
        key=idempotency_key,
        what=f"token batch {body.count} {value}",
        make=lambda: (
            token_batch_create(count=body.count, value=value, note=body.note, user=user).pk
        ),
    )
    return Status(201 if done.first else 200, _with_states([_batch(done.id)])[0])


@router.post("token-batches/{batch_id}/export", summary="The numbers, as CSV")
@requires(Permission.MONEY)
def batch_export(request: HttpRequest, batch_id: int) -> HttpResponseBase:
    """Number, value and state of each token; the audit trail says who took them."""
    batch = _batch(batch_id)
    audit(user=signed_in(request), action="token_batch_export", target=f"token batch {batch.pk}")
    response = StreamingHttpResponse(
        token_batch_csv(batch=batch), content_type="text/csv; charset=utf-8"
    )
    response["Cache-Control"] = "private, no-store"
    return response
