"""Who is at work: the user of a request, a token, a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

_actor: ContextVar[Callable[[], str] | None] = ContextVar("agent_monitor_actor", default=None)


def current() -> str:
    """The name; empty in a shell or in code that says nothing."""
    name = _actor.get()
    return "" if name is None else name()


def be(name: str) -> None:
    """From here on, until the request ends."""
    _actor.set(lambda: name)


@contextmanager
def acting(name: str) -> Iterator[None]:
    """Everything edited inside is edited by ``name``."""
    token = _actor.set(lambda: name)
    try:
        yield
    finally:
        _actor.reset(token)


class ActorMiddleware(MiddlewareMixin):
    """Whoever is signed in edits. Put it behind the one that authenticates; who it is, is asked when something is edited."""

    def process_request(self, request: HttpRequest) -> None:
        """Remember how to find out: to look at the user would ask the database, of which most requests need nothing."""
        _actor.set(lambda: request.user.get_username())  # noqa: PLW0108 - the attribute would be looked at now

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:  # noqa: ARG002 - Django's
        """The next one is somebody else's."""
        _actor.set(None)
        return response
