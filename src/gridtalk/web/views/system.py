"""What the gateway noticed, and what people did."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from gridtalk.core.models import SystemLog
from gridtalk.users import once
from gridtalk.users.models import AuditEntry, Permission
from gridtalk.users.permissions import requires
from gridtalk.web.paging import page_of


@require_safe
@requires(Permission.VIEW)
def system_log(request: HttpRequest) -> HttpResponse:
    """The system log, newest first."""
    context = {"section": "system-log", "page": page_of(request, SystemLog.objects.all())}
    return render(request, "web/system_log.html", context)


@require_safe
@requires(Permission.USERS)
def audit_trail(request: HttpRequest) -> HttpResponse:
    """The audit trail, newest first; ``target`` shows what was done to one thing."""
    found = AuditEntry.objects.exclude(action=once.ACTION).select_related("user")
    target = request.GET.get("target", "")
    if target:
        found = found.filter(target=target)
    context = {"section": "audit", "target": target, "page": page_of(request, found)}
    return render(request, "web/audit.html", context)
