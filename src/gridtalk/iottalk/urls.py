"""The addresses that devices call: ``v2/…`` and ``v1/…``, below ``/iottalk/``."""

from django.urls import URLPattern, URLResolver, re_path

from gridtalk.iottalk import http_v2

# A base that was written with a slash at its end makes two of them.
urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^v2/?$", http_v2.index, name="iottalk-v2"),
    re_path(r"^v2/+(?P<address>[^/]+)/*$", http_v2.device, name="iottalk-v2-device"),
    re_path(r"^v2/", http_v2.unknown),
]
