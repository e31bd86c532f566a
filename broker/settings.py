"""Settings, all from the environment (`USHER_*`; docs/settings.md is made from this file).

A comment that begins with `#:` above a line is that setting's help text in the documentation.
"""

import platform
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog

from broker import env

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

#: The demo: a simulated AWS account, directory and desktops beside the product.
DEMO = env.flag("USHER_DEMO")
#: Debug pages. Unsafe on anything that others can reach.
DEBUG = env.flag("USHER_DANGEROUS_DEBUG")
#: Signs cookies and links. Without it the broker does not start.
SECRET_KEY = env.text("USHER_SECRET_KEY")
#: Fernet keys for secrets at rest, comma separated; the first encrypts, all decrypt (`manage.py new_key`).
ENCRYPTION_KEYS = env.words("USHER_ENCRYPTION_KEYS")
#: Host names under which browsers reach the broker, comma separated.
ALLOWED_HOSTS = env.words("USHER_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
#: Addresses or networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.
TRUSTED_PROXIES = env.words("USHER_TRUSTED_PROXIES")
#: The address under which browsers and agents reach the broker, as https://desktops.example.com.
PUBLIC_URL = env.text("USHER_PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
#: Path of the CA certificate (PEM) by which agents know the broker. `make run` and `make demo` make their own.
AGENT_CA = env.text("USHER_AGENT_CA")
#: The address under which agents reach the broker, where that is another one.
AGENT_URL = env.text("USHER_AGENT_URL", PUBLIC_URL).rstrip("/")
#: Calls a second that one agent may make of the agent endpoint; ten times as many at once. Beyond: 429.
AGENT_CALLS = env.number("USHER_AGENT_CALLS", 20)
#: Events a second that one agent may tell the agent endpoint; twenty times as many at once. Beyond: 429.
AGENT_EVENTS = env.number("USHER_AGENT_EVENTS", 100)
#: Registrations a second from one address; a hundred times as many at once. A bad token counts for fifty.
AGENT_REGISTRATIONS = env.number("USHER_AGENT_REGISTRATIONS", 5)
#: Connections that one agent endpoint takes; with fewer file descriptors, fewer. Nine tenths of them may be held polls.
AGENT_CONNECTIONS = env.number("USHER_AGENT_CONNECTIONS", 15000)
#: Name of this node in the log and the job queue.
NODE = env.text("USHER_NODE", platform.node() or "broker")
#: The administrator's password, set at the first start; takes the place of the set-up link.
ADMIN_PASSWORD = env.text("USHER_ADMIN_PASSWORD")
#: A token for /metrics; without it only the loopback address may read them.
METRICS_TOKEN = env.text("USHER_METRICS_TOKEN")
#: Cookies only over HTTPS; follows USHER_PUBLIC_URL unless given.
SECURE_COOKIES = env.flag("USHER_SECURE_COOKIES", PUBLIC_URL.startswith("https://"))
#: Seconds that a disconnect may last before its plans act: take-overs and network blips are over by then.
SETTLE_SECONDS = env.number("USHER_SETTLE_SECONDS", 15)
#: Log lines: json or console.
LOG_FORMAT = env.text("USHER_LOG_FORMAT", "json")


def database(url: str) -> dict[str, Any]:
    """A postgresql:// address as Django wants it; a unix socket is given as ?host=/folder."""
    parts = urlsplit(url)
    query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(query.get("host", parts.hostname or "")),
        "PORT": str(parts.port or query.get("port", "")),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 3, **({"sslmode": query["sslmode"]} if "sslmode" in query else {})},
    }


#: PostgreSQL, as postgresql://user:password@host:5432/usher. `make run` and `make demo` bring their own.
DATABASE_URL = env.text("USHER_DATABASE_URL", "postgresql://usher@127.0.0.1:5432/usher")
#: Redis, as redis://host:6379/0 or redis+socket:///path.
REDIS_URL = env.text("USHER_REDIS_URL", "redis://127.0.0.1:6379/0")

DATABASES = {"default": database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.forms",  # the templates of its widgets; ours may stand before them
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_tables2",
    "django_filters",
    "django_htmx",
    "broker.core",
    "authservers",
    "gateways",
    "centers",
    "plans",
    "agents",
    "pools",
    "policies",
    "broker.connect",
    "broker.resources",
    *(["broker.demo"] if DEMO else []),
]
MIDDLEWARE = [
    "broker.core.middleware.Probes",  # answers balancers before host check, redirect and login
    "gateways.middleware.Forwarded",  # who truly asks, where a gateway passes pages on
    "broker.core.middleware.ClientAddress",
    "gateways.middleware.Calls",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "broker.core.middleware.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "broker.connect.middleware.Portal",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "broker.urls"
WSGI_APPLICATION = "broker.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "broker.navigation.context",
                "broker.connect.portal_views.context",
            ],
            "builtins": ["broker.core.templatetags.usher"],
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
DJANGO_TABLES2_TEMPLATE = "core/_table.html"

AUTH_USER_MODEL = "authservers.User"
AUTHENTICATION_BACKENDS = ["policies.backends.RoleBackend"]
LOGIN_URL = "sign-in"
PASSWORD_HASHERS = ["authservers.hashers.Argon2"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]

SESSION_ENGINE = "broker.core.sessions"
SESSION_COOKIE_NAME = "sessionid"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "broker.core.errors.csrf_failure"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL.startswith("https://") else []
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_COOKIES else 0
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000

#: Time zone of pages and of time windows that name none, as Europe/Berlin.
TIME_ZONE = env.text("USHER_TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = False
LANGUAGE_CODE = "en"

STATIC_URL = "/static/"
#: Where `collectstatic` put the files; without it they are served from where they lie.
STATIC_ROOT = env.text("USHER_STATIC_ROOT") or None
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
# Their folders carry versions (broker/vendor.py): browsers may keep them for ever.
WHITENOISE_IMMUTABLE_FILE_TEST = r"^/static/vendor/[a-z-]+-\d"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# A hung Redis must not hold a web request: short socket time-outs (CONTRACTS X9).
REDIS_OPTIONS = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {**REDIS_OPTIONS, "visibility_timeout": 3600, "max_retries": 0}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "usher"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BEAT_SCHEDULE = {
    "work": {"task": "usher.work", "schedule": 1.0, "options": {"expires": 1}},
}
#: Where beat keeps its clock.
CELERY_BEAT_SCHEDULE_FILENAME = env.text("USHER_BEAT_FILE", str(BASE_DIR / "var" / "beat"))

_shared: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]
_renderer: Any = structlog.processors.JSONRenderer() if LOG_FORMAT == "json" else structlog.dev.ConsoleRenderer()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "lines": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _shared,
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"django.server": {"level": "WARNING"}, "botocore": {"level": "WARNING"}},
}
