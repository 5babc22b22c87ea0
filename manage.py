#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL and REDIS_URL it uses the private servers of this checkout."""

from __future__ import annotations

import os
import signal
import sys

from config.embedded import environment


def main() -> None:
    """Prepare the environment, then hand over to Django."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        environment.prepare(sys.argv[1:])
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line

        try:
            execute_from_command_line(sys.argv)
        except ImproperlyConfigured as error:
            sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
