"""What every command shares: one clear line instead of a traceback, and JSON for machines."""

from __future__ import annotations

import sys
from abc import abstractmethod
from typing import Any

import orjson
import redis
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, ProgrammingError

from apps.monitoring.audit.actor import acting
from apps.monitoring.query.errors import QueryError
from apps.monitoring.replay.recording import RecordingError


class MonitoringCommand(BaseCommand):
    """A command that answers with a value: shown to people as lines, to machines as JSON."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Every command can answer in JSON."""
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *_: Any, **options: Any) -> None:
        """Run; whatever a person can mend becomes one line on stderr and exit code 1."""
        try:
            with acting(f"manage.py {type(self).__module__.rpartition('.')[2]}"):
                result = self.run(**options)
        except (QueryError, RecordingError) as error:
            raise CommandError(str(error)) from error
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        except ProgrammingError as error:
            msg = f"the database does not have the tables of this version: run manage.py migrate ({_first_line(error)})"
            raise CommandError(msg) from error
        except DatabaseError as error:
            msg = f"the database does not answer: {_first_line(error)} (see DATABASE_URL)"
            raise CommandError(msg) from error
        except (redis.RedisError, OSError) as error:
            msg = f"the hot store does not answer: {_first_line(error)} (see REDIS_URL)"
            raise CommandError(msg) from error
        if options["json"]:
            self.stdout.write(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode())
        else:
            for line in self.lines(result):
                self.stdout.write(line)
        code = self.exit_code(result)
        if code:
            sys.exit(code)

    @abstractmethod
    def run(self, **options: Any) -> dict[str, Any]:
        """Do the work and return what happened."""

    def lines(self, result: dict[str, Any]) -> list[str]:
        """The result for people."""
        width = max(map(len, result), default=0)
        return [f"{name.replace('_', ' '):<{width}}  {'-' if value is None else value}" for name, value in result.items()]

    def exit_code(self, result: dict[str, Any]) -> int:  # noqa: ARG002 - for those that can fail without an error
        """0 unless the result says otherwise."""
        return 0


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
