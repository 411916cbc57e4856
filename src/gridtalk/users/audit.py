"""The audit trail: what a person did, and why."""

from typing import Any

from gridtalk.core.texts import storable
from gridtalk.users.models import AuditEntry, User

#: The columns' widths; a longer target would only ever come from a name that somebody chose.
_LONGEST_ACTION = 64
_LONGEST_TARGET = 128


def audit(
    *,
    user: User | None,
    action: str,
    target: str,
    reason: str = "",
    data: dict[str, Any] | None = None,
) -> AuditEntry:
    """Add a row to the audit trail, in the caller's transaction.

    ``action`` is ``<entity>_<action>`` as the service is called (``credit_reverse``), ``target``
    what it was done to (``job 17``). ``data`` must be fit for JSON and hold no secret: no password,
    no key, no token number. Without a user the gateway itself, or the command line, did it.
    """
    return AuditEntry.objects.create(
        user=user,
        action=action[:_LONGEST_ACTION],
        target=storable(target)[:_LONGEST_TARGET],
        reason=storable(reason),
        data=data or {},
    )
