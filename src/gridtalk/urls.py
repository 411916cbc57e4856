"""All addresses: first those that providers and old devices call, then the pages and the API."""

from django.urls import URLPattern, URLResolver, include, path

from gridtalk.api.health import health
from gridtalk.api.root import api_urls
from gridtalk.gateway import polling, webhooks

inbound: list[URLPattern | URLResolver] = [
    path("sms/kannel/<int:interface_id>/in", webhooks.kannel_inbound, name="kannel-inbound"),
    path("sms/report/<uuid:message_uuid>", webhooks.report, name="delivery-report"),
    path("interface/send/<int:interface_id>", webhooks.generic_inbound, name="generic-inbound"),
    # The netbook bridge of 2012; the key names the interface.
    path("sms/ping", webhooks.netbook_ping, name="netbook-ping"),
    path("sms/received", webhooks.netbook_received, name="netbook-received"),
    path("sms/send", webhooks.netbook_inbound, name="netbook-inbound"),
    path("message/remove/<uuid:message_uuid>", webhooks.netbook_remove, name="netbook-remove"),
    # Meters that poll for their jobs; the key is the meter's.
    path("jobs/meter/<int:meter_id>/", polling.meter_jobs, name="meter-jobs"),
    path("jobs/job/<int:job_id>/", polling.job_done, name="meter-job-done"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    *inbound,
    path("healthz", health, name="health"),
    path("api/", api_urls),
    path("iottalk/", include("gridtalk.iottalk.urls")),
    path("", include("gridtalk.web.urls")),
]

handler400 = "gridtalk.web.error_pages.bad_request"
handler403 = "gridtalk.web.error_pages.permission_denied"
handler404 = "gridtalk.web.error_pages.page_not_found"
handler500 = "gridtalk.web.error_pages.server_error"
