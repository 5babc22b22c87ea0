"""A mail server, talked to for so many seconds at most, however slowly it answers."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import threading
from types import TracebackType
from typing import Any, Final, Self

from django.core.mail.backends.smtp import EmailBackend

TOTAL_SECONDS: Final = 25.0
"""A server that sends a byte now and then would keep every single timeout for ever."""


class Deadline:
    """Closes the connection behind smtplib's back when the time is over."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._open: smtplib.SMTP | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()

    def watch(self, connection: smtplib.SMTP) -> None:
        """Before it connects: the greeting is waited for while it is made."""
        self._open = connection

    def _end(self) -> None:
        self.passed = True
        # Not yet connected has a timeout of its own.
        found = getattr(self._open, "sock", None)
        if found is not None:
            with contextlib.suppress(OSError):  # it ended by itself meanwhile
                found.shutdown(socket.SHUT_RDWR)


class Server(EmailBackend):
    """Django's own, under a deadline. With ``address`` the connection goes there, under the host's name and certificate.

    It keeps whom the server refused while it took the mail for others.
    """

    def __init__(self, *args: Any, deadline: Deadline, address: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline = deadline
        self._address = address
        self.refused: dict[str, int] = {}
        """The code for each address, as it was said to the server."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        """Django's choice, watched from its first moment."""
        deadline, address, refused = self._deadline, self._address, self.refused
        plain: type[smtplib.SMTP] = smtplib.SMTP_SSL if self.use_ssl else smtplib.SMTP

        class Watched(plain):  # type: ignore[misc, valid-type]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                deadline.watch(self)
                super().__init__(*args, **kwargs)

            def _get_socket(self, host: str, port: int, timeout: float) -> Any:
                return super()._get_socket(address or host, port, timeout)

            def sendmail(self, *args: Any, **kwargs: Any) -> dict[str, tuple[int, bytes]]:
                # Django drops what this returns: https://docs.python.org/3/library/smtplib.html#smtplib.SMTP.sendmail
                answers: dict[str, tuple[int, bytes]] = super().sendmail(*args, **kwargs)
                refused.update({recipient: code for recipient, (code, _) in answers.items()})
                return answers

        return Watched
