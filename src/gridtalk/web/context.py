"""What every page's template knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def pages(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001  Django passes it
    """The languages in their own names, and whether this server runs for the demo."""
    return {"languages": settings.LANGUAGES, "demo": bool(settings.GRIDTALK_DEMO_PHONES)}
