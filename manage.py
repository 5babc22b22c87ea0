#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL and REDIS_URL it uses the private servers of this checkout."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Prepare the environment, then hand over to Django."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        try:
            # Here, so that it can be said which Python has them.
            from django.core.exceptions import ImproperlyConfigured
            from django.core.management import execute_from_command_line

            from config.embedded import environment
        except ModuleNotFoundError as error:
            if error.name is None or "." in error.name or error.name == "config":
                raise
            sys.exit(f"the package {error.name} is missing: use .venv/bin/python manage.py, which `make install` makes")
        environment.prepare(sys.argv[1:])
        try:
            execute_from_command_line(sys.argv)
        except ImproperlyConfigured as error:
            sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
