"""Tokens: batches, their making, their export, and single tokens made void."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.contrib import messages
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from gridtalk.core import money
from gridtalk.prepaid.exports import token_batch_csv
from gridtalk.prepaid.models import Token, TokenBatch
from gridtalk.prepaid.services import token_batch_create, token_void
from gridtalk.users.audit import audit
from gridtalk.users.models import Permission
from gridtalk.users.once import once
from gridtalk.users.permissions import requires, signed_in
from gridtalk.web.forms import TokenBatchForm, TokenVoidForm
from gridtalk.web.paging import page_of


@dataclass(frozen=True)
class StateCount:
    """How many tokens of a batch are in a state, and their worth."""

    state: str
    number: int
    worth: Decimal


@dataclass(frozen=True)
class BatchRow:
    """A batch with its tokens counted by state."""

    batch: TokenBatch
    states: list[StateCount]

    @property
    def number(self) -> int:
        """How many tokens the batch has."""
        return sum(state.number for state in self.states)

    @property
    def worth(self) -> Decimal:
        """The face value of all its tokens."""
        return sum((state.worth for state in self.states), money.ZERO)

    @property
    def left(self) -> int:
        """How many are still to be redeemed by a text."""
        return sum(state.number for state in self.states if state.state == Token.State.NEW)


def batch_rows(batches: Iterable[TokenBatch]) -> list[BatchRow]:
    """The batches with their counts; one query for all."""
    found = list(batches)
    states: dict[int, list[StateCount]] = {batch.pk: [] for batch in found}
    counted = (
        Token.objects.filter(batch__in=found)
        .order_by()
        .values("batch_id", "state")
        .annotate(number=Count("pk"), worth=Sum("value"))
    )
    order = list(Token.State.values)
    for row in sorted(counted, key=lambda row: order.index(row["state"])):
        states[row["batch_id"]].append(StateCount(row["state"], row["number"], row["worth"]))
    return [BatchRow(batch, states[batch.pk]) for batch in found]


@require_safe
@requires(Permission.VIEW)
def tokens(request: HttpRequest) -> HttpResponse:
    """All batches, newest first."""
    context = {
        "section": "tokens",
        "page": page_of(
            request, TokenBatch.objects.select_related("created_by"), size=25, finish=batch_rows
        ),
        "may_make": signed_in(request).may(Permission.MONEY),
    }
    return render(request, "web/tokens.html", context)


@require_http_methods(["GET", "POST"])
@requires(Permission.MONEY)
def tokens_add(request: HttpRequest) -> HttpResponse:
    """Make a batch of tokens."""
    form = TokenBatchForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user, data = signed_in(request), form.cleaned_data
        done = once(
            user=user,
            key=data["once"],
            what=f"token batch {data['count']} {data['value']}",
            make=lambda: (
                token_batch_create(
                    count=data["count"], value=data["value"], note=data["note"], user=user
                ).pk
            ),
        )
        if done.first:
            messages.success(request, _("The tokens are made."))
        else:
            messages.warning(request, _("This was asked for before; no second batch was made."))
        return redirect("web:token-batch", done.id)
    context = {"section": "tokens", "form": form}
    return render(request, "web/tokens_add.html", context, status=400 if form.errors else 200)


@require_safe
@requires(Permission.VIEW)
def token_batch(request: HttpRequest, batch_id: int) -> HttpResponse:
    """One batch: its tokens by state."""
    return _page(request, _batch(batch_id), TokenVoidForm())


def _batch(batch_id: int) -> TokenBatch:
    return get_object_or_404(TokenBatch.objects.select_related("created_by"), pk=batch_id)


def _page(request: HttpRequest, batch: TokenBatch, form: TokenVoidForm) -> HttpResponse:
    context = {
        "section": "tokens",
        "row": batch_rows([batch])[0],
        "batch": batch,
        "form": form,
        "may_money": signed_in(request).may(Permission.MONEY),
    }
    return render(request, "web/token_batch.html", context, status=400 if form.errors else 200)


@require_POST
@requires(Permission.MONEY)
def token_batch_export(request: HttpRequest, batch_id: int) -> HttpResponseBase:
    """The batch as CSV, numbers and all. By POST, because it is written into the audit trail."""
    batch = _batch(batch_id)
    audit(user=signed_in(request), action="token_batch_export", target=f"token batch {batch.pk}")
    response = StreamingHttpResponse(
        token_batch_csv(batch=batch), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="tokens-batch-{batch.pk}.csv"'
    response["Cache-Control"] = "private, no-store"
    return response


@require_POST
@requires(Permission.MONEY)
def token_make_void(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Make a token of this batch worthless, with a reason."""
    batch = _batch(batch_id)
    form = TokenVoidForm(request.POST)
    if not form.is_valid():
        return _page(request, batch, form)
    number = form.cleaned_data["number"].replace(" ", "")
    token = Token.objects.filter(batch=batch, number=number).first()
    if token is None:
        form.add_error("number", _("This batch has no token with that number."))
        return _page(request, batch, form)
    token_void(token=token, user=signed_in(request), reason=form.cleaned_data["reason"])
    messages.success(request, _("The token is void."))
    return redirect("web:token-batch", batch.pk)
