"""`manage.py sink`."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.monitoring.demo.sink import mail, web
from apps.monitoring.demo.sink.arrivals import Arrival, Arrivals
from apps.monitoring.notify.message import printable
from config.embedded.process import free_port


class Command(BaseCommand):
    """Receive what the channels send, and print it."""

    help = "Run a local mail server, webhook receiver and Sentry endpoint that print what the channels send. Ctrl-C ends it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to listen, where to write."""
        parser.add_argument("--smtp-port", type=int, default=1025, help="0: a free one")
        parser.add_argument("--http-port", type=int, default=1080, help="0: a free one")
        parser.add_argument("--secret", default="", help="refuse webhooks that are not signed with this secret (whsec_…)")
        parser.add_argument("--file", type=Path, help="append each arrival to this file as a line of JSON")
        parser.add_argument("--json", action="store_true", help="print each arrival as a line of JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        """Serve until a signal comes."""
        ended = threading.Event()
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda *_: ended.set())
        arrivals = Arrivals(lambda arrival: self._show(arrival, options["file"], as_json=options["json"]))
        smtp = mail.server(arrivals, options["smtp_port"] or free_port())
        try:
            server = web.Server(arrivals, options["http_port"], secret=options["secret"])
            smtp.start()
        except OSError as error:
            msg = f"the sink cannot listen: {error.strerror or error}; --smtp-port and --http-port choose other ports"
            raise CommandError(msg) from error
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.stdout.write(f"mail on port {smtp.port}, http on port {server.server_port}")
        self.stdout.flush()
        ended.wait()
        server.shutdown()
        smtp.stop()

    def _show(self, arrival: Arrival, file: Path | None, *, as_json: bool) -> None:
        line = orjson.dumps(arrival.as_dict()).decode()
        if file is not None:
            with file.open("a") as appended:
                appended.write(line + "\n")
        self.stdout.write(line if as_json else self._box(arrival))
        self.stdout.flush()

    def _box(self, arrival: Arrival) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(arrival.at))
        text = str(arrival.body.get("text", "")) if arrival.channel != "sentry" else ""
        colour = self.style.SUCCESS if "resolved" in arrival.title else self.style.WARNING
        lines = [f"┌─ {clock} {arrival.channel} arrived", f"│ {colour(printable(arrival.title))}"]
        lines += [f"│ {printable(line)}" for line in text.splitlines() if line.strip()]
        return "\n".join([*lines, "└─"])
