"""Is this server all right? For load balancers and monitors: no sign-in, no secrets."""

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from gridtalk import __version__

#: Both read the first row of a partial index, however long the tables are.
_AGES = """
SELECT
    (SELECT extract(epoch FROM now() - m.created_at)
       FROM messages m
      WHERE m.id = (SELECT min(i.id) FROM incoming_messages i WHERE i.handled_at IS NULL)),
    (SELECT extract(epoch FROM now() - min(next_attempt_at))
       FROM messages WHERE state IN ('queued', 'sending'))
"""


@require_safe
@login_not_required
def health(request: HttpRequest) -> HttpResponse:
    """200 with the ages of the queues in seconds, or 503 where the database cannot be reached.

    ``oldest_unhandled_s``: the longest that a received message waits to be dealt with;
    ``oldest_due_s``: how long the first message to send is overdue. 0 where nothing waits.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(_AGES)
            unhandled, due = cursor.fetchone()
    except DatabaseError:
        return JsonResponse(
            {"status": "failing", "database": "unreachable"},
            status=503,
            headers={"Cache-Control": "no-store"},
        )
    return JsonResponse(
        {
            "status": "ok",
            "version": __version__,
            "database": "ok",
            "oldest_unhandled_s": round(max(0.0, float(unhandled or 0)), 1),
            "oldest_due_s": round(max(0.0, float(due or 0)), 1),
        },
        headers={"Cache-Control": "no-store"},
    )
