"""The addresses that devices call: ``v2/…`` and ``v1/…``, below ``/iottalk/``."""

from django.urls import URLPattern, URLResolver, path, re_path

from gridtalk.iottalk import http_v1, http_v2
from gridtalk.iottalk.broker.http_auth import broker_auth

# A base that was written with a slash at its end makes two of them.
urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^v2/*$", http_v2.index, name="iottalk-v2"),
    re_path(r"^v2/+(?P<address>[^/]+)/*$", http_v2.device, name="iottalk-v2-device"),
    re_path(r"^v2/", http_v2.unknown),
    re_path(r"^v1/*$", http_v1.index, name="iottalk-v1"),
    re_path(r"^v1/+tree/?$", http_v1.tree),
    re_path(r"^v1/+get_alias/(?P<address>[^/]+)/(?P<name>[^/]+)/?$", http_v1.alias_get),
    re_path(r"^v1/+set_alias/(?P<address>[^/]+)/(?P<name>[^/]+)/alias/?$", http_v1.alias_set),
    re_path(r"^v1/+(?P<address>[^/]+)/?$", http_v1.device, name="iottalk-v1-device"),
    re_path(r"^v1/+(?P<address>[^/]+)/(?P<name>[^/]+)/?$", http_v1.feature),
    re_path(r"^v1/", http_v1.unknown),
    path("broker/auth", broker_auth),
]
