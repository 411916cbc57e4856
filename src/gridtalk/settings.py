"""Settings: read from the environment, with defaults that run out of the box.

``gridtalk up`` and the other commands set what is missing (``cli/``): the secrets, the embedded
database's address. Every name that an operator may set is listed in ``docs/operations.md``.
"""

import os
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import django_stubs_ext

from gridtalk.core.errors import SetupError

django_stubs_ext.monkeypatch()


def _flag(name: str, *, default: bool) -> bool:
    text = os.environ.get(name, "").strip().lower()
    return default if not text else text in {"1", "true", "yes", "on"}


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip()
    try:
        return int(text) if text else default
    except ValueError:
        raise SetupError(f"{name} is “{text}”; it must be a whole number") from None


def _list(name: str, default: str) -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def _networks(name: str) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(part) for part in _list(name, "")]
    except ValueError as error:
        raise SetupError(
            f"{name}: {error}; write addresses or networks, with commas between them: "
            "127.0.0.1,10.0.0.0/24"
        ) from error


def database_from_url(url: str) -> dict[str, Any]:
    """Django's settings for a PostgreSQL address; :class:`SetupError` where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise SetupError(
            f"GRIDTALK_DATABASE_URL begins with “{parts.scheme}:”; Gridtalk needs PostgreSQL, "
            "for example postgresql://user:password@host/name"
        )
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    host = options.pop("host", "") or unquote(parts.hostname or "")
    port = options.pop("port", "") or str(parts.port or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": port,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


DATA_DIR = Path(os.environ.get("GRIDTALK_DATA_DIR", ".gridtalk")).absolute()

SECRET_KEY = os.environ.get("GRIDTALK_SECRET_KEY", "")
#: Encrypts providers' passwords in the database.
GRIDTALK_ENCRYPTION_KEY = os.environ.get("GRIDTALK_ENCRYPTION_KEY", "")
DEBUG = False
ALLOWED_HOSTS = _list("GRIDTALK_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
#: Whose X-Forwarded-For is believed: addresses and networks of proxies in front of us.
GRIDTALK_TRUSTED_PROXIES = _networks("GRIDTALK_TRUSTED_PROXIES")
#: Where people and providers reach this server, for example https://grid.example.org.
PUBLIC_URL = os.environ.get("GRIDTALK_PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
_https = PUBLIC_URL.startswith("https://")

DATABASES = {
    "default": database_from_url(os.environ.get("GRIDTALK_DATABASE_URL", "postgresql:///gridtalk"))
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "axes",
    "procrastinate.contrib.django",
    "gridtalk.core",
    "gridtalk.users",
    "gridtalk.files",
    "gridtalk.messaging",
    "gridtalk.grid",
    "gridtalk.telemetry",
    "gridtalk.prepaid",
    "gridtalk.jobs",
    "gridtalk.alerts",
    "gridtalk.gateway",
    "gridtalk.devicetalk",
    "gridtalk.iottalk",
    "gridtalk.api",
    "gridtalk.web",
]

MIDDLEWARE = [
    "gridtalk.web.proxies.ClientAddress",
    "gridtalk.web.middleware.SecurityHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "axes.middleware.AxesMiddleware",
    "gridtalk.web.middleware.Errors",
]

ROOT_URLCONF = "gridtalk.urls"
WSGI_APPLICATION = "gridtalk.asgi.django_application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "gridtalk.web.context.pages",
            ],
        },
    }
]

# --- Users and sessions -------------------------------------------------------------------------

AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "gridtalk.users.backends.NameBackend",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("name", "email")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "web:sign-in"
LOGIN_REDIRECT_URL = "web:overview"
LOGOUT_REDIRECT_URL = "web:sign-in"
#: Else axes would look for “name”, our USERNAME_FIELD, find nothing, and lock nobody out.
AXES_USERNAME_FORM_FIELD = "username"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "web/locked_out.html"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = _https
SESSION_COOKIE_AGE = int(timedelta(days=7).total_seconds())
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "gridtalk.web.error_pages.csrf_failure"
CSRF_COOKIE_SECURE = _https
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds()) if _https else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
X_FRAME_OPTIONS = "DENY"

#: A body larger than this is refused (413) before it is read.
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024

# --- Languages and times ------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LOCALE_PATHS = [Path(__file__).parent / "locale"]
LANGUAGES = [("en", "English"), ("fr", "Français"), ("zh-hant", "繁體中文")]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # What people upload, under names that we make; no address leads there.
    "uploads": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": DATA_DIR / "uploads",
            "base_url": None,
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
#: What Vite built has a hash in its name: browsers keep it.
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/web/build/assets/.+$"

# --- Mail ---------------------------------------------------------------------------------------

EMAIL_HOST = os.environ.get("GRIDTALK_EMAIL_HOST", "")
EMAIL_PORT = _number("GRIDTALK_EMAIL_PORT", 587)
EMAIL_HOST_USER = os.environ.get("GRIDTALK_EMAIL_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("GRIDTALK_EMAIL_PASSWORD", "")
EMAIL_USE_TLS = _flag("GRIDTALK_EMAIL_TLS", default=True)
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend"
    if EMAIL_HOST
    else "django.core.mail.backends.dummy.EmailBackend"
)
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = os.environ.get("GRIDTALK_EMAIL_FROM", "gridtalk@localhost")

# --- Gridtalk -----------------------------------------------------------------------------------

#: Whether stored work rings for a worker at once (unit tests drain by hand).
GRIDTALK_BELLS = _flag("GRIDTALK_BELLS", default=True)
#: Threads of a web process that run Django; each keeps one database connection.
GRIDTALK_WEB_THREADS = _number("GRIDTALK_WEB_THREADS", 8)
#: The demo's simulated phones: the address, with its key, to which its page posts what a phone
#: says. Empty on every real server: there is no such page.
GRIDTALK_DEMO_PHONES = os.environ.get("GRIDTALK_DEMO_PHONES", "")
#: The bells of all drains; the clock rings them every 5 seconds (core/drains.py).
BELLS = [
    "gridtalk.messaging.bells.SEND",
    "gridtalk.gateway.bells.HANDLE",
    "gridtalk.gateway.bells.JOBS",
]
#: Where the tasks are; an explicit list, nothing is discovered.
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = ""
PROCRASTINATE_IMPORT_PATHS = [
    "gridtalk.core.tasks",
    "gridtalk.messaging.tasks",
    "gridtalk.telemetry.tasks",
    "gridtalk.alerts.tasks",
    "gridtalk.gateway.tasks",
    "gridtalk.devicetalk.tasks",
    "gridtalk.iottalk.tasks",
]
#: A drain's task says nothing once it is done.
PROCRASTINATE_WORKER_DEFAULTS = {"delete_jobs": "successful"}
#: Length of the pins that we make, in digits 2 to 9.
PIN_LENGTH = 8
#: On/off and pings are re-sent until this long after the first hand-over; credit then turns
#: unconfirmed.
JOB_LIFETIME = timedelta(minutes=_number("GRIDTALK_JOB_LIFETIME_MINUTES", 60))
#: How long the first acknowledgement is waited for before a job is sent again; pauses grow.
JOB_RESEND_PAUSE = timedelta(seconds=_number("GRIDTALK_JOB_RESEND_SECONDS", 60))
#: A circuit that reported before and is silent for this long is unresponsive.
CIRCUIT_SILENCE = timedelta(minutes=_number("GRIDTALK_CIRCUIT_SILENCE_MINUTES", 120))
#: Whether a consumer is told at once that a token was received.
ACKNOWLEDGE_RECEIPT = _flag("GRIDTALK_ACKNOWLEDGE_RECEIPT", default=False)
#: Whether the generic inbound address answers with the message's uuid, or with an empty body.
GENERIC_INBOUND_ANSWERS_UUID = _flag("GRIDTALK_GENERIC_INBOUND_ANSWERS_UUID", default=False)
#: Wrong pins and tokens from one number in an hour, after which it must wait.
WRONG_PINS_PER_HOUR = 10
#: How long an outgoing text may wait for its provider before it is given up.
MESSAGE_LIFETIME = timedelta(hours=_number("GRIDTALK_MESSAGE_LIFETIME_HOURS", 72))
#: After a sender was killed while handing over, how long a delivery report is waited for.
REPORT_GRACE = timedelta(seconds=_number("GRIDTALK_REPORT_GRACE_SECONDS", 60))
#: Who is told, in the same transaction, what became of a message of that kind.
MESSAGE_OUTCOME_HOOKS = {"job": "gridtalk.jobs.services.job_message_outcome"}
#: Who is told, in the same transaction, that a newer on or off took the place of a job.
JOB_SUPERSEDED_HOOK = "gridtalk.gateway.replies.reply_job_superseded"
#: The most characters of an inbound text (ten parts of UCS-2 are 670, of GSM-7 1,530).
LONGEST_INBOUND_TEXT = 4096
#: The sections of a library's example functions; each is a column of LibraryFunction.
LIBRARYFUNCTION_FIELDS = [
    "var_define",
    "member_var_define",
    "import_string",
    "init_content",
    "runs_content",
]
#: Limits of one uploaded folder: files, bytes of each and of all, characters of a path.
FILES_MOST = _number("GRIDTALK_FILES_MOST", 1_000)
FILES_LARGEST_BYTES = _number("GRIDTALK_FILES_LARGEST_BYTES", 10 * 2**20)
FILES_TOTAL_BYTES = _number("GRIDTALK_FILES_TOTAL_BYTES", 50 * 2**20)
FILES_LONGEST_PATH = 100
#: Limits of one check of a device's code: wall-clock seconds, megabytes of a compiler's memory.
CHECK_SECONDS = _number("GRIDTALK_CHECK_SECONDS", 30)
CHECK_MEMORY_MB = _number("GRIDTALK_CHECK_MEMORY_MB", 1024)
#: How many checks run at once, on all machines together, besides the workers' other tasks.
CHECKS_AT_ONCE = max(_number("GRIDTALK_CHECKS_AT_ONCE", 1), 1)
#: Whether C++ is compiled where bubblewrap does not work (docs/security.md says what that means).
CHECK_WITHOUT_BUBBLEWRAP = _flag("GRIDTALK_CHECK_WITHOUT_BUBBLEWRAP", default=False)
#: IoTtalk servers on private addresses that device models may be imported from; * is any.
IMPORT_PRIVATE_HOSTS = _list("GRIDTALK_IMPORT_PRIVATE_HOSTS", "")
#: The broker of the devices, mqtt://user:password@host:port (mqtts:// for TLS); empty: our own.
GRIDTALK_MQTT_URL = os.environ.get("GRIDTALK_MQTT_URL", "")
#: The host and port of the broker as devices reach it; empty: the host by which they reach us.
GRIDTALK_MQTT_PUBLIC = os.environ.get("GRIDTALK_MQTT_PUBLIC", "")
#: The port of our own broker.
GRIDTALK_MQTT_PORT = _number("GRIDTALK_MQTT_PORT", 1883)
#: Which broker is our own: auto, mosquitto, amqtt or none (iottalk/broker/kinds.py).
GRIDTALK_BROKER = os.environ.get("GRIDTALK_BROKER", "auto")
#: Set by ``gridtalk up``: the private Mosquitto's port for the server's own processes, 0 where it
#: is the devices' one, and the address on which amqtt listens.
GRIDTALK_MQTT_SERVER_PORT = _number("GRIDTALK_MQTT_SERVER_PORT", 0)
GRIDTALK_MQTT_HOST = os.environ.get("GRIDTALK_MQTT_HOST", "127.0.0.1")
#: Who hears what meters' devices say (iottalk/voice.py).
DEVICE_VOICE = "gridtalk.gateway.devices.devices_said"
#: Who tells the device server that a job waits for a meter's device (messaging/services.py).
DEVICE_BELL = "gridtalk.iottalk.services.jobs_out.device_job_ring"
#: Who knows whose a device is that registers (iottalk/services/registration.py).
DEVICE_OWNER = "gridtalk.devicetalk.services.owners.device_owner_get"
#: How long the samples of device features, and the log of registrations, are kept.
DF_SAMPLE_RETENTION = timedelta(days=_number("GRIDTALK_DF_SAMPLE_DAYS", 30))
DEVICE_EVENT_RETENTION = timedelta(days=_number("GRIDTALK_DEVICE_EVENT_DAYS", 90))
#: The most features of a device, and bytes of one message of a device.
DEVICE_FEATURES_MOST = 200
DEVICE_MESSAGE_LARGEST_BYTES = 16 * 1024
#: Registrations a minute from one address, and in all, for each web process; as many at once.
DEVICE_REGISTRATIONS_PER_MINUTE = _number("GRIDTALK_DEVICE_REGISTRATIONS_PER_MINUTE", 600)
DEVICE_REGISTRATIONS_PER_MINUTE_IN_ALL = _number(
    "GRIDTALK_DEVICE_REGISTRATIONS_PER_MINUTE_IN_ALL", 6_000
)
#: Requests a second of one v1 device, for each web process; five times as many at once.
DEVICE_REQUESTS_PER_SECOND = _number("GRIDTALK_DEVICE_REQUESTS_PER_SECOND", 20)
#: The same for all v1 devices behind one address.
DEVICE_REQUESTS_PER_SECOND_OF_SOURCE = _number("GRIDTALK_DEVICE_REQUESTS_PER_SECOND_OF_SOURCE", 500)
#: Device models of v1 whose boards never send their password-key; they are taken without.
DEVICE_KEYLESS_MODELS = _list("GRIDTALK_DEVICE_KEYLESS_MODELS", "")
#: A v1 device that neither said nor asked anything for so long is offline.
DEVICE_V1_SILENCE = timedelta(seconds=_number("GRIDTALK_DEVICE_V1_SILENCE_SECONDS", 90))
#: Devices without a meter that left, or were silent, for so long are forgotten.
DEVICE_FORGOTTEN_AFTER = timedelta(days=_number("GRIDTALK_DEVICE_FORGOTTEN_DAYS", 30))
#: Those that never said anything after they registered are forgotten after so much less.
DEVICE_SILENT_FORGOTTEN_AFTER = timedelta(hours=1)
#: So many devices that are no meter's may be registered: anyone may register one.
DEVICES_UNBOUND_MOST = _number("GRIDTALK_DEVICES_UNBOUND_MOST", 20_000)
#: Limits of one compressed entry.
METER_USE_TIME_MAX_S = 86_400
METER_WATTHOURS_MAX = "999999.9"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line"},
        "short": {"class": "gridtalk.core.logs.ShortHandler", "formatter": "line"},
    },
    "root": {"handlers": ["console"], "level": os.environ.get("GRIDTALK_LOG_LEVEL", "WARNING")},
    "loggers": {
        # The URL of an inbound request carries the interface's key: requests are not logged.
        "django.request": {"level": "CRITICAL"},
        # A device with a wrong address asks again and again: a line each time, no traceback.
        "django.security.DisallowedHost": {"handlers": ["short"], "propagate": False},
        # It writes the URLs of providers, which hold passwords, into its warnings.
        "urllib3": {"level": "CRITICAL"},
    },
}
