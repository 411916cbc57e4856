"""Doing a thing once, however often it is asked for: a double click, a repeat after a time-out."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from django.db import connection, transaction

from gridtalk.core.errors import Conflict, UserError
from gridtalk.users.audit import audit
from gridtalk.users.models import AuditEntry, User

#: The audit trail's action of these rows; pages leave them out.
ACTION = "once"
LONGEST_KEY = 200


@dataclass(frozen=True)
class Done:
    """What was made: its id, and whether it was made now or at an earlier request."""

    id: int
    first: bool


@transaction.atomic
def once(*, user: User, key: str, what: str, make: Callable[[], int]) -> Done:
    """Call ``make`` unless this user asked for it with this key before; then give its id again.

    ``make`` returns the id of what it made; ``what`` is a fingerprint of the request (a kind and
    its arguments). The mark is written in the transaction of the deed itself, so that neither can
    be without the other; a second request at the same moment waits for the first.

    Raises :class:`Conflict` where the key was used for something else, :class:`UserError` for a key
    that is empty or longer than 200 characters. Whatever ``make`` raises leaves the key unused.
    """
    if not 0 < len(key) <= LONGEST_KEY:
        raise UserError("an idempotency key has 1 to %(most)s characters", most=LONGEST_KEY)
    digest = hashlib.sha256(f"{user.pk}\n{key}".encode("utf-8", "surrogatepass"))
    with connection.cursor() as cursor:
        lock = int.from_bytes(digest.digest()[:8], "big", signed=True)
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])
    target = f"{ACTION} {digest.hexdigest()}"
    earlier = AuditEntry.objects.filter(target=target).first()
    if earlier is not None:
        if earlier.data["what"] != what:
            raise Conflict("this idempotency key was used for another request; make a new one")
        return Done(id=earlier.data["id"], first=False)
    made = make()
    audit(user=user, action=ACTION, target=target, data={"what": what, "id": made})
    return Done(id=made, first=True)
