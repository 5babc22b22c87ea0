"""`manage.py sink`."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandParser

from apps.monitoring.demo.sink import mail, web
from apps.monitoring.demo.sink.arrivals import Arrival, Arrivals


class Command(BaseCommand):
    """Receive what the channels send, and print it."""

    help = "Run a local mail server, webhook receiver and Sentry endpoint that print what the channels send. Ctrl-C ends it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to listen, where to write."""
        parser.add_argument("--smtp-port", type=int, default=1025)
        parser.add_argument("--http-port", type=int, default=1080)
        parser.add_argument("--file", type=Path, help="append each arrival to this file as a line of JSON")
        parser.add_argument("--json", action="store_true", help="print each arrival as a line of JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        """Serve until a signal comes."""

        def show(arrival: Arrival) -> None:
            line = orjson.dumps(arrival.as_dict()).decode()
            if options["file"] is not None:
                with options["file"].open("a") as file:
                    file.write(line + "\n")
            self.stdout.write(line if options["json"] else self._shown(arrival))
            self.stdout.flush()

        arrivals = Arrivals(show)
        smtp = mail.server(arrivals, options["smtp_port"])
        smtp.start()
        server = web.Server(arrivals, options["http_port"])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ended = threading.Event()
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda *_: ended.set())
        self.stdout.write(f"mail on port {options['smtp_port']}, http on port {options['http_port']}")
        self.stdout.flush()
        ended.wait()
        server.shutdown()
        smtp.stop()

    def _shown(self, arrival: Arrival) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(arrival.at))
        text = arrival.body.get("text", "") if arrival.channel != "sentry" else ""
        lines = [f"┌─ {clock} {arrival.channel} arrived", f"│ {arrival.title}"]
        lines += [f"│ {line}" for line in str(text).splitlines() if line.strip()]
        return "\n".join([*lines, "└─"])
