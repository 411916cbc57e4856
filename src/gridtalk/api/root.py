"""The JSON API: its errors, its addresses, its description."""

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import URLPattern, URLResolver, path
from django.views.decorators.http import require_safe
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from gridtalk.api import grid, jobs, messages, tokens
from gridtalk.api.auth import KeyAuth, SessionAuth
from gridtalk.api.devicetalk import devicetalk_add

#: The most faults of one request that its answer names: a body can have a hundred thousand.
MOST_NAMED = 50

api = NinjaAPI(
    title="Gridtalk",
    version="1",
    description=(
        "Meters, circuits, messages, jobs, tokens, and the workshop for devices' code. Errors are "
        '{"error": "what is wrong and how to mend it"}; amounts are strings with two decimals; '
        "times are ISO 8601 with their offset."
    ),
    auth=KeyAuth(),
    docs_url=None,  # its pages load scripts from elsewhere; ours is below
    openapi_url=None,  # ours is below
    urls_namespace="api",
)
api.add_router("", grid.router)
api.add_router("", messages.router)
api.add_router("", jobs.router)
api.add_router("", tokens.router)
devicetalk_add(api)


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    texts = [
        f"{'.'.join(str(part) for part in found['loc'][1:])}: {found['msg']}"
        for found in error.errors[:MOST_NAMED]
    ]
    if len(error.errors) > MOST_NAMED:
        texts.append(f"and {len(error.errors) - MOST_NAMED} more of that kind")
    return JsonResponse({"error": "; ".join(texts)}, status=400)


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return JsonResponse({"error": str(error)}, status=error.status_code)


@api.exception_handler(AuthenticationError)
def _unknown(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    response = JsonResponse(
        {"error": "send a key that is not revoked, as the header Authorization: Bearer KEY"},
        status=401,
    )
    response["WWW-Authenticate"] = "Bearer"
    return response


def _schema() -> dict[str, Any]:
    return dict(api.get_openapi_schema(path_prefix="/api/"))


@api.get("openapi.json", auth=[KeyAuth(), SessionAuth()], include_in_schema=False)
def openapi(request: HttpRequest) -> HttpResponse:
    """The OpenAPI description, for who is signed in, and for programs with a key."""
    return JsonResponse(_schema())


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The API on one page, without scripts, for who is signed in."""
    schema = _schema()
    areas: dict[str, list[dict[str, Any]]] = {}
    for address, methods in schema["paths"].items():
        for method, operation in methods.items():
            call = {
                "address": address,
                "method": method.upper(),
                "summary": operation["summary"],
                "description": operation.get("description", "").replace("``", ""),
                "parameters": [*operation.get("parameters", []), *_body_parts(schema, operation)],
            }
            areas.setdefault(operation["tags"][0], []).append(call)
    context = {"info": schema["info"], "areas": areas, "section": "api"}
    return render(request, "api/docs.html", context)


def _body_parts(schema: dict[str, Any], operation: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a call's JSON body, as parameters."""
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    body = schema["components"]["schemas"].get(reference.rpartition("/")[2], {})
    needed = body.get("required", ())
    return [
        {"name": name, "in": "body", "required": name in needed}
        for name in body.get("properties", {})
    ]


def _opened(patterns: list[URLPattern | URLResolver]) -> list[URLPattern | URLResolver]:
    """The API's own addresses, which ask for a key instead of a session."""
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            login_not_required(pattern.callback)
    return patterns


_patterns, _app_name, _namespace = api.urls
api_urls = (
    [
        path("docs", docs, name="docs"),
        *_opened(_patterns),
    ],
    _app_name,
    _namespace,
)
