"""`manage.py up`."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from apps.monitoring.dashboard.login import one_time_login_path
from apps.monitoring.models import Channel
from config import variables
from config.embedded import secret, servers
from config.embedded.process import answers, free_port
from config.supervisor import parts

_PORT: Final = 8000
_USER: Final = "admin"
_ASKED: Final = (128 + signal.SIGINT, 128 + signal.SIGTERM)
"""What honcho returns when it was asked to stop."""


class Command(BaseCommand):
    """Run everything on this machine."""

    help = (
        "Run everything on this machine: web, workers, beat, a local mail-and-webhook sink and sample traffic, on private "
        "servers unless DATABASE_URL and REDIS_URL are set. Ctrl-C stops all of it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What to run."""
        parser.add_argument("--port", type=int, default=None, help=f"HTTP port (default: {_PORT}, or a free one)")
        parser.add_argument("--no-traffic", action="store_true", help="no demo agent")

    def handle(self, *_: Any, **options: Any) -> None:
        """Prepare, tell where everything is, and run until a part ends or Ctrl-C."""
        state = settings.STATE_DIR
        state.mkdir(exist_ok=True)
        lock = (state / "up.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"one is running already: {_address(state)}"
            raise CommandError(msg) from None
        port = options["port"] or (free_port() if answers(_PORT) else _PORT)
        address = f"http://127.0.0.1:{port}"
        (state / "up.json").write_text(json.dumps({"address": address, "pid": os.getpid()}))
        env = self._environment(port, address)
        os.environ.update(env)
        self._prepare(env)
        self._tell(address, env)
        # A private server that crashes ends everything, as any other part does.
        watch = {"servers": shlex.join([sys.executable, "-m", "config.embedded.watch", str(state)])} if servers.in_use() else {}
        code = parts.run(env, frozenset({"traffic"}) if options["no_traffic"] else frozenset(), watch)
        (state / "up.json").unlink(missing_ok=True)
        if code not in _ASKED:
            msg = f"a part ended with exit code {code}, so everything was stopped; its last lines are above"
            raise CommandError(msg)

    def _environment(self, port: int, address: str) -> dict[str, str]:
        """What the parts need to know; whatever is set already stays. An empty path of the log is set: nowhere."""
        smtp_port, http_port = _sink_ports(settings.STATE_DIR)
        webhook_secret = "whsec_" + secret.keep(settings.STATE_DIR / "webhook-secret", _webhook_secret)
        wanted = {
            "DATABASE_URL": os.environ["DATABASE_URL"],
            "REDIS_URL": os.environ["REDIS_URL"],
            "SECRET_KEY": settings.SECRET_KEY,
            "INSECURE_HTTP": "1",
            "MONITORING_BASE_URL": address,
            "EMAIL_URL": f"smtp://127.0.0.1:{smtp_port}",
            "MONITORING_ALERT_EMAILS": "ops@example.com",
            "MONITORING_WEBHOOK_URL": f"http://127.0.0.1:{http_port}/webhook",
            "MONITORING_WEBHOOK_SECRET": webhook_secret,
            "MONITORING_ALLOWED_WEBHOOK_HOSTS": f"127.0.0.1:{http_port}",
        }
        log_path = os.environ.get("MONITORING_LOG_PATH", str(settings.STATE_DIR / "agent.log"))
        own = {"PORT": str(port), "SINK_SMTP_PORT": str(smtp_port), "SINK_HTTP_PORT": str(http_port)}
        return {name: variables.text(name, value) for name, value in wanted.items()} | {"MONITORING_LOG_PATH": log_path} | own

    def _adopt(self) -> None:
        """What the parts will have read from the environment holds for what is set up here, too."""
        for name in ("MONITORING_ALERT_EMAILS", "MONITORING_ALLOWED_WEBHOOK_HOSTS"):
            setattr(settings, name, variables.texts(name))
        for name in ("MONITORING_WEBHOOK_URL", "MONITORING_WEBHOOK_SECRET", "MONITORING_BASE_URL"):
            setattr(settings, name, variables.text(name))

    def _prepare(self, env: dict[str, str]) -> None:
        self._adopt()
        Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
        call_command("migrate", verbosity=0)
        call_command("setup_monitoring", stdout=self.stdout)
        # The channels of an earlier start whose sink had other ports.
        Channel.objects.filter(name="webhook", config__url__startswith="http://127.0.0.1:").update(
            config={"url": env["MONITORING_WEBHOOK_URL"]}
        )

    def _tell(self, address: str, env: dict[str, str]) -> None:
        user, _ = get_user_model().objects.get_or_create(username=_USER, defaults={"is_staff": True, "is_superuser": True})
        self.stdout.write(
            f"\n  dashboard       {address}/dashboard/"
            f"\n  one-time login  {address}{one_time_login_path(user)}"
            f"\n  admin           {address}/admin/"
            f"\n  sink            http://127.0.0.1:{env['SINK_HTTP_PORT']}/ (what the channels sent)"
            f"{_log_lines(env)}"
            f"{_record_to(env) if servers.in_use() else ''}"
            f"\n\n  started {time.strftime('%H:%M:%S')}; the first alert comes within three minutes. Ctrl-C stops everything.\n"
        )
        self.stdout.flush()


def _log_lines(env: Mapping[str, str]) -> str:
    """Where the agents' log is, when it is a file."""
    path = env["MONITORING_LOG_PATH"]
    return "" if path in {"", "-"} else f"\n  log lines       {path} (the demo writes 0.4 MB a minute; empty it when you like)"


def _record_to(env: Mapping[str, str]) -> str:
    """Of the private server only: the address has its password."""
    return f"\n  record to       {env['REDIS_URL']} (MONITORING_REDIS_URL of your agent's site)"


def _address(state: Path) -> str:
    try:
        address = str(json.loads((state / "up.json").read_text())["address"])
        user = get_user_model().objects.get(username=_USER)
    except (OSError, ValueError, KeyError, ObjectDoesNotExist, DatabaseError):
        return "it is just starting"
    return f"{address}/dashboard/\n  one-time login  {address}{one_time_login_path(user)}"


def _sink_ports(state: Path) -> tuple[int, int]:
    """The sink's ports, the same over restarts: the channels that were made on the first start lead there."""
    file = state / "sink-ports.json"
    if not file.exists():
        file.write_text(json.dumps([free_port(), free_port()]))
    smtp_port, http_port = json.loads(file.read_text())
    for port in (smtp_port, http_port):
        if answers(port):
            msg = f"port {port} of the local sink is taken by another program: end it, or remove {file}"
            raise CommandError(msg)
    return smtp_port, http_port


def _webhook_secret() -> str:
    """24 random bytes in base64, as Standard Webhooks has it."""
    return base64.b64encode(secrets.token_bytes(24)).decode()
