"""Steps of which each may fail without keeping the others from being taken."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from celery.exceptions import SoftTimeLimitExceeded

_log = logging.getLogger(__name__)


@contextmanager
def isolated() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Gives what each step is taken in. Its error is logged; the first one is raised when all are taken, to be noticed."""
    errors: list[Exception] = []

    @contextmanager
    def step() -> Iterator[None]:
        try:
            yield
        except SoftTimeLimitExceeded:
            raise  # there is no time for others
        except Exception as error:
            _log.exception("a step failed, the others are taken all the same")
            errors.append(error)

    yield step
    if errors:
        raise errors[0]
