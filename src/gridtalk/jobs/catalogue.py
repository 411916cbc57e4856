"""Every kind of job, in an explicit list."""

from django.core.exceptions import ImproperlyConfigured

from gridtalk.core.errors import UserError
from gridtalk.jobs.kinds.add_credit import AddCreditKind
from gridtalk.jobs.kinds.base import JobKind
from gridtalk.jobs.kinds.cping import CpingKind
from gridtalk.jobs.kinds.mping import MpingKind
from gridtalk.jobs.kinds.turn_off import TurnOffKind
from gridtalk.jobs.kinds.turn_on import TurnOnKind

KINDS: tuple[JobKind, ...] = (
    AddCreditKind(),
    TurnOnKind(),
    TurnOffKind(),
    MpingKind(),
    CpingKind(),
)

BY_KIND: dict[str, JobKind] = {kind.model.KIND: kind for kind in KINDS}
if len(BY_KIND) != len(KINDS) or len({kind.word for kind in KINDS}) != len(KINDS):
    raise ImproperlyConfigured("two kinds of job share a name or a word; see jobs/catalogue.py")


def kind_get(name: str) -> JobKind:
    """The kind of that name; :class:`UserError` where there is none."""
    try:
        return BY_KIND[name]
    except KeyError:
        raise UserError(
            "there is no job “%(name)s”; there are: %(names)s", name=name, names=", ".join(BY_KIND)
        ) from None
