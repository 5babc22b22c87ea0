"""Django's settings, all from the environment (docs/settings.md). Safe by default: DEBUG is off, nothing is guessed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from config import addresses, variables
from config.embedded.environment import STATE

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = variables.required("SECRET_KEY", "put 50 or more random characters into the environment, and keep them")
DEBUG = variables.switch("DEBUG", default=False)
ALLOWED_HOSTS = variables.texts("ALLOWED_HOSTS", "localhost", "127.0.0.1", "[::1]")
CSRF_TRUSTED_ORIGINS = variables.texts("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "apps.monitoring.apps.MonitoringConfig",
]
MIDDLEWARE = [
    "apps.monitoring.logs.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.monitoring.audit.actor.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

_DATABASE = "a PostgreSQL database, such as postgresql://user:password@host:5432/name"
DATABASES = {"default": variables.address("DATABASE_URL", addresses.database, _DATABASE)}
DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 5
DATABASES["default"]["CONN_MAX_AGE"] = variables.whole("CONN_MAX_AGE", 60)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_REDIS = "a Redis or Valkey server, such as redis://:password@host:6379/0"
REDIS_URL = variables.address("REDIS_URL", addresses.hot_store, _REDIS)
if REDIS_URL.startswith(addresses.CLUSTERS):
    # Celery speaks to one server only, and a cluster has no second database for its queues.
    CELERY_BROKER_URL = variables.required(
        "CELERY_BROKER_URL", "REDIS_URL is a cluster, and Celery needs a server that is none, such as redis://host:6379/0"
    )
else:
    CELERY_BROKER_URL = variables.text("CELERY_BROKER_URL", addresses.broker_beside(REDIS_URL))
variables.address("CELERY_BROKER_URL", addresses.broker, "a broker of Celery, such as redis://host:6379/1", CELERY_BROKER_URL)

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"

STATIC_URL = "static/"
STATE_DIR = STATE
STATIC_ROOT = STATE_DIR / "static"
# Static files come straight from the packages, so nothing has to be collected before the first start.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# HTTPS everywhere, unless this is `make up` on one's own machine.
INSECURE_HTTP = variables.switch("INSECURE_HTTP", default=DEBUG)
SECURE_SSL_REDIRECT = not INSECURE_HTTP
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 0 if INSECURE_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not INSECURE_HTTP
SECURE_HSTS_PRELOAD = not INSECURE_HTTP
SESSION_COOKIE_SECURE = not INSECURE_HTTP
CSRF_COOKIE_SECURE = not INSECURE_HTTP
if variables.switch("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
LOGIN_URL = "admin:login"

_MAIL = "a mail server, such as smtp+tls://user:password@host:587"
_email = variables.address("EMAIL_URL", addresses.mail_server, _MAIL, default="smtp://localhost:25")
EMAIL_BACKEND, EMAIL_HOST, EMAIL_PORT = _email["EMAIL_BACKEND"], _email["EMAIL_HOST"], _email["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_USER"] or "", _email["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS, EMAIL_USE_SSL = _email.get("EMAIL_USE_TLS", False), _email.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = variables.text("DEFAULT_FROM_EMAIL", "monitoring@localhost")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.monitoring.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apps.monitoring.api.tenancy.HasAccess"],
    "DEFAULT_PARSER_CLASSES": ["apps.monitoring.api.body.JSONBody"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "apps.monitoring.api.problem.handle",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Agent monitoring",
    "DESCRIPTION": "Metrics and alerts of AI customer-service agents.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "DependencyState": "apps.monitoring.api.serializers.STATES",
        "Severity": "apps.monitoring.api.serializers.SEVERITIES",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.monitoring.api.schema.with_problems",
    ],
}

SENTRY_DSN = variables.text("SENTRY_DSN")
MONITORING_ENCRYPTION_KEYS = variables.texts("MONITORING_ENCRYPTION_KEYS")
MONITORING_KEY_PREFIX = variables.text("MONITORING_KEY_PREFIX", "agentmon")
# Each tick is a task for each of them, and each row of all tenants together is there once for each of them.
MONITORING_SHARDS = variables.whole("MONITORING_SHARDS", 8, least=1, most=1_024)
MONITORING_GRACE_SECONDS = variables.number("MONITORING_GRACE_SECONDS", 5.0)
MONITORING_WRITE_MODE = variables.one_of("MONITORING_WRITE_MODE", "buffered", "direct")
MONITORING_FLUSH_INTERVAL = variables.number("MONITORING_FLUSH_INTERVAL", 1.0, least=0.01)
MONITORING_QUEUE_SIZE = variables.whole("MONITORING_QUEUE_SIZE", 20_000, least=1)
MONITORING_QUEUE_BYTES = variables.whole("MONITORING_QUEUE_BYTES", 64_000_000, least=1)
MONITORING_MAX_PENDING_BYTES = variables.whole("MONITORING_MAX_PENDING_BYTES", 250_000_000, least=1)
MONITORING_FLUSH_ON_SIGTERM = variables.switch("MONITORING_FLUSH_ON_SIGTERM", default=True)
MONITORING_LABEL_CAP = variables.whole("MONITORING_LABEL_CAP", 100, least=1)
MONITORING_PRICING = variables.one_of("MONITORING_PRICING", "list", "off")
MONITORING_PRICES = variables.prices("MONITORING_PRICES")
MONITORING_NOTIFY_MAX_AGE_SECONDS = variables.whole("MONITORING_NOTIFY_MAX_AGE_SECONDS", 900)
MONITORING_RULE_TIMEOUT_SECONDS = variables.number("MONITORING_RULE_TIMEOUT_SECONDS", 30.0)
MONITORING_TIME_ZONE = variables.time_zone("MONITORING_TIME_ZONE")
MONITORING_READ_CACHE_SECONDS = variables.number("MONITORING_READ_CACHE_SECONDS", 1.0)
MONITORING_RETENTION_MINUTE_DAYS = variables.whole("MONITORING_RETENTION_MINUTE_DAYS", 35, least=1)
MONITORING_RETENTION_HOUR_DAYS = variables.whole("MONITORING_RETENTION_HOUR_DAYS", 180, least=MONITORING_RETENTION_MINUTE_DAYS)
MONITORING_RETENTION_DAY_DAYS = variables.whole("MONITORING_RETENTION_DAY_DAYS", 3_650, least=MONITORING_RETENTION_HOUR_DAYS)
MONITORING_RETENTION_ALERT_DAYS = variables.whole("MONITORING_RETENTION_ALERT_DAYS", 365, least=1)
MONITORING_RETENTION_AUDIT_DAYS = variables.whole("MONITORING_RETENTION_AUDIT_DAYS", 1_095, least=1)
_SITE = "this site, such as https://monitoring.example.com"
MONITORING_BASE_URL = variables.address("MONITORING_BASE_URL", addresses.site, _SITE, default="http://localhost:8000")
MONITORING_LOG_FORMAT = variables.one_of("MONITORING_LOG_FORMAT", "json", "ecs", "console")
# The one variable that means something when it is empty: lines go nowhere.
MONITORING_LOG_PATH = os.environ.get("MONITORING_LOG_PATH", "-")
MONITORING_LOG_QUEUE_SIZE = variables.whole("MONITORING_LOG_QUEUE_SIZE", 20_000, least=1)
MONITORING_LOG_QUEUE_BYTES = variables.whole("MONITORING_LOG_QUEUE_BYTES", 64_000_000, least=1)
MONITORING_CONTENT_MODE = variables.one_of("MONITORING_CONTENT_MODE", "redacted", "full", "none")
MONITORING_REDACTION_PATTERNS = variables.patterns("MONITORING_REDACTION_PATTERNS")
MONITORING_MAX_TEXT = variables.whole("MONITORING_MAX_TEXT", 2_000, least=1)
MONITORING_OTLP_AGENTS = variables.texts("MONITORING_OTLP_AGENTS")
MONITORING_OTLP_TENANT_ATTRIBUTE = variables.text("MONITORING_OTLP_TENANT_ATTRIBUTE", "tenant.id")
MONITORING_ALERT_EMAILS = variables.texts("MONITORING_ALERT_EMAILS")
MONITORING_WEBHOOK_URL = variables.text("MONITORING_WEBHOOK_URL")
MONITORING_WEBHOOK_SECRET = variables.text("MONITORING_WEBHOOK_SECRET")
MONITORING_SLACK_WEBHOOK_URL = variables.text("MONITORING_SLACK_WEBHOOK_URL")
MONITORING_PAGERDUTY_ROUTING_KEY = variables.text("MONITORING_PAGERDUTY_ROUTING_KEY")
MONITORING_ALLOWED_WEBHOOK_HOSTS = variables.texts("MONITORING_ALLOWED_WEBHOOK_HOSTS")
MONITORING_CUSTOM_HANDLERS = variables.texts("MONITORING_CUSTOM_HANDLERS")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {"mail.log": {"level": "WARNING"}, "httpx": {"level": "WARNING"}},
    "root": {"handlers": ["stderr"], "level": variables.log_level("LOG_LEVEL")},
}

if SENTRY_DSN:
    import sentry_sdk

    variables.address("SENTRY_DSN", addresses.sentry, "a project of Sentry, such as https://key@sentry.example.com/1")

    def _redacted(event: Any, hint: Any) -> Any:
        # Late: what redacts is configured by these settings.
        from apps.monitoring.logs.sentry import before_send

        return before_send(event, hint)

    sentry_sdk.init(
        dsn=SENTRY_DSN,
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,
        before_send=_redacted,
    )
