"""The addresses of ``bench/inbound.py``: ours, and a bare view that inserts one row."""

from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path
from django.views.decorators.csrf import csrf_exempt

from gridtalk.urls import inbound


@csrf_exempt
@login_not_required
def bare(request: HttpRequest) -> HttpResponse:
    """The least that a Django view can do to store a text: no key, no check, one insert."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bench_bare (number, text) VALUES (%s, %s)",
            [request.POST["number"], request.POST["message"]],
        )
    return HttpResponse()


urlpatterns: list[URLPattern | URLResolver] = [*inbound, path("bare", bare)]
