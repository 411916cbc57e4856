"""The addresses of the pages."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import path

from gridtalk.web.views import (
    account,
    alerts,
    circuits,
    interfaces,
    jobs,
    messages,
    meters,
    overview,
    system,
    tokens,
    users,
)

app_name = "web"

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("sign-in", login_not_required(account.SignIn.as_view()), name="sign-in"),
    path("sign-out", LogoutView.as_view(http_method_names=["post"]), name="sign-out"),
    path("profile", account.profile, name="profile"),
    path("profile/password", account.password, name="password"),
    path("profile/language", account.language, name="language"),
    path("meters", meters.meters, name="meters"),
    path("meters/add", meters.meter_add, name="meter-add"),
    path("meters/<int:meter_id>", meters.meter, name="meter"),
    path("meters/<int:meter_id>/ping", meters.meter_ping, name="meter-ping"),
    path("circuits/<int:circuit_id>", circuits.circuit, name="circuit"),
    path("circuits/<int:circuit_id>/job", circuits.circuit_job, name="circuit-job"),
    path("circuits/<int:circuit_id>/credit", circuits.circuit_credit, name="circuit-credit"),
    path("circuits/<int:circuit_id>/account", circuits.account_edit, name="account-edit"),
    path("messages", messages.messages, name="messages"),
    path("messages/send", messages.message_send, name="message-send"),
    path("messages/<int:message_id>", messages.message, name="message"),
    path("jobs", jobs.jobs, name="jobs"),
    path("jobs/<int:job_id>", jobs.job, name="job"),
    path("jobs/<int:job_id>/resend", jobs.job_resend, name="job-resend"),
    path("jobs/<int:job_id>/reverse", jobs.job_reverse, name="job-reverse"),
    path("jobs/<int:job_id>/cancel", jobs.job_cancel, name="job-cancel"),
    path("tokens", tokens.tokens, name="tokens"),
    path("tokens/add", tokens.tokens_add, name="tokens-add"),
    path("tokens/<int:batch_id>", tokens.token_batch, name="token-batch"),
    path("tokens/<int:batch_id>/export", tokens.token_batch_export, name="token-batch-export"),
    path("tokens/<int:batch_id>/void", tokens.token_make_void, name="token-void"),
    path("alerts", alerts.alerts, name="alerts"),
    path("alerts/<int:alert_id>/seen", alerts.alert_seen, name="alert-seen"),
    path("interfaces", interfaces.interfaces, name="interfaces"),
    path("interfaces/add/<str:kind>", interfaces.interface_add, name="interface-add"),
    path("interfaces/<int:interface_id>/key", interfaces.interface_key, name="interface-key"),
    path(
        "interfaces/<int:interface_id>/activity",
        interfaces.interface_activity,
        name="interface-activity",
    ),
    path("system-log", system.system_log, name="system-log"),
    path("audit", system.audit_trail, name="audit"),
    path("users", users.users, name="users"),
    path("users/add", users.user_add, name="user-add"),
    path("users/<int:user_id>", users.user, name="user"),
    path("users/<int:user_id>/group", users.user_group, name="user-group"),
    path("users/<int:user_id>/activity", users.user_activity, name="user-activity"),
    path("users/<int:user_id>/password", users.user_password, name="user-password"),
    path("users/<int:user_id>/keys", users.user_key_add, name="user-key-add"),
    path("keys/<int:key_id>/end", users.api_key_end, name="api-key-end"),
    path("groups/add", users.group_add, name="group-add"),
    path("groups/<int:group_id>", users.group, name="group"),
]
