"""DeviceTalk's calls, and the errors that say more than a sentence."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI

from gridtalk.api import (
    devicetalk_catalogue,
    devicetalk_checks,
    devicetalk_devices,
    devicetalk_functions,
    devicetalk_libraries,
    files,
)
from gridtalk.api.auth import KeyAuth, SessionAuth
from gridtalk.devicetalk.services.devices_lock import DeviceChanged
from gridtalk.devicetalk.services.functions import FunctionShared
from gridtalk.devicetalk.tree import InvalidTree

ROUTERS = (
    devicetalk_devices.router,
    devicetalk_functions.router,
    devicetalk_libraries.router,
    files.router,
    devicetalk_checks.router,
    devicetalk_catalogue.router,
)


def devicetalk_add(api: NinjaAPI) -> None:
    """Add the workshop's calls, for programs with a key and for the pages of who is signed in."""
    for router in ROUTERS:
        api.add_router("", router, auth=[KeyAuth(), SessionAuth()])
    api.exception_handler(InvalidTree)(_invalid_tree)
    api.exception_handler(DeviceChanged)(_device_changed)
    api.exception_handler(FunctionShared)(_function_shared)


def _invalid_tree(request: HttpRequest, error: InvalidTree) -> HttpResponse:
    problems = [
        {"path": problem.path, "line": problem.line, "cause": problem.cause}
        for problem in error.problems
    ]
    return JsonResponse({"error": str(error), "problems": problems}, status=error.status)


def _device_changed(request: HttpRequest, error: DeviceChanged) -> HttpResponse:
    return JsonResponse({"error": str(error), "difference": error.difference}, status=error.status)


def _function_shared(request: HttpRequest, error: FunctionShared) -> HttpResponse:
    return JsonResponse({"error": str(error), "features": error.features}, status=error.status)
