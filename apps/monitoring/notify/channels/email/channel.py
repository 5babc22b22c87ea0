"""Notifications by mail, text and HTML, one conversation an alert."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping, Sequence
from email.utils import parseaddr
from typing import Any, Final
from urllib.parse import urlsplit

import environ
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.validators import validate_email
from django.template.loader import render_to_string

from apps.monitoring.core.rules import condition
from apps.monitoring.notify.channels.address import ForbiddenAddressError, UnresolvedError, judged
from apps.monitoring.notify.channels.email import server
from apps.monitoring.notify.channels.email.recipients import Recipients
from apps.monitoring.notify.channels.email.server import Deadline, Server
from apps.monitoring.notify.channels.outcome import NO_RECEIPT, Outcome, Rejected, Retry
from apps.monitoring.notify.message import Message, printable
from apps.monitoring.notify.thread import Thread

_PERMANENT: Final = 500
_SMTP_BACKEND: Final = "django.core.mail.backends.smtp.EmailBackend"
_REFERENCES: Final = 10
_SCHEMES: Final = frozenset({"smtp", "smtps", "smtp+tls", "smtp+ssl"})
_NO_URL: Final = 'the server is an address such as "smtp+tls://user:password@host:587"'


class EmailChannel:
    """``config``: {"to": ["ops@example.com"], "from": optional}; ``secrets``: {"url": optional, else EMAIL_URL}."""

    kind = "email"
    hears_acknowledgement = False
    keeps_threads = True
    example_config = '{"to": ["ops@example.com"]}'
    example_secrets = '{"url": "smtp+tls://user:password@host:587"}'

    def problems(self, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:
        """Addresses that are none, a server that may not be reached."""
        recipients = config.get("to")
        if not isinstance(recipients, list) or not recipients:
            return ['"to" is a list of addresses, such as ["ops@example.com"]']
        found = [f"{address!r} is no address" for address in recipients if not _is_address(address)]
        sender = config.get("from")
        if sender and not (isinstance(sender, str) and sender == printable(sender) and _is_address(parseaddr(sender)[1])):
            found.append(f'"from" is {sender!r}, which is no address')
        if secrets.get("url"):
            found += _problems_of_server(str(secrets["url"]))
        return found

    def goes_to(self, config: Mapping[str, Any]) -> str:  # noqa: ARG002
        """The secrets hold the server's address."""
        return ""

    def deliver(
        self,
        message: Message,
        config: Mapping[str, Any],
        secrets: Mapping[str, Any],
        threads: Sequence[Thread] = (),
        receipt: Mapping[str, Any] = NO_RECEIPT,
    ) -> Outcome:
        """Hand it to the mail server. 5xx answers are final, everything else is tried again (RFC 5321, 4.2.1).

        That is true of each recipient: whom the server took it for does not get it again.
        """
        problems = self.problems(config, secrets)
        if problems:
            return Rejected("; ".join(problems))
        before = Recipients.of(receipt)
        to = [address for address in config["to"] if address not in before]
        if not to:
            return before.outcome({})
        with Deadline(server.TOTAL_SECONDS) as deadline:
            try:
                connection = _connection(secrets.get("url"), deadline)
            except ForbiddenAddressError as error:
                return Rejected(str(error))
            except UnresolvedError as error:
                return Retry(str(error))
            refused = _attempt(mail(message, {**config, "to": to}, connection, threads))
        if isinstance(refused, Retry) and deadline.passed:
            return Retry("the mail server did not answer in time")
        return before.after(to, refused) if isinstance(refused, Mapping) else refused


def _attempt(mail: EmailMultiAlternatives) -> Mapping[str, int] | Outcome:
    """Whom the server refused, with its code; or why nobody was asked to the end."""
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        return {address: code for address, (code, _) in error.recipients.items()}
    except smtplib.SMTPAuthenticationError as error:
        return Retry(f"the mail server refused the login ({error.smtp_code})")  # ours to mend, the message is good
    except smtplib.SMTPResponseException as error:
        return _judge(error.smtp_code, "the mail server refused the message")
    except (smtplib.SMTPException, OSError) as error:
        return Retry(f"the mail server cannot be reached: {getattr(error, 'strerror', None) or type(error).__name__}")
    return mail.connection.refused if isinstance(mail.connection, Server) else {}


def mail(
    message: Message, config: Mapping[str, Any], connection: BaseEmailBackend, threads: Sequence[Thread] = ()
) -> EmailMultiAlternatives:
    """The mail. Its Message-ID is the notification's id, so a mail that is sent twice is one mail to a reader.

    It answers the mails that announced its alerts (RFC 5322, 3.6.4), so each alert is one conversation.
    """
    host = urlsplit(settings.MONITORING_BASE_URL).hostname or "localhost"
    before = [f"<{thread.id}@{host}>" for thread in threads[-_REFERENCES:]]
    mail = EmailMultiAlternatives(
        subject=message.subject,
        body=message.body(),
        from_email=config.get("from") or settings.DEFAULT_FROM_EMAIL,
        to=list(config["to"]),
        connection=connection,
        headers={
            "Message-ID": f"<{message.id}@{host}>",
            **({"In-Reply-To": before[-1], "References": " ".join(before)} if before else {}),
            "List-Id": f"Agent monitoring <alerts.{host}>",
            "Auto-Submitted": "auto-generated",
            "X-Notification-Id": message.id,
        },
    )
    html = render_to_string("monitoring/notification.html", {"message": message, "condition": condition(message.rule)})
    mail.attach_alternative(html, "text/html")
    return mail


def _connection(url: str | None, deadline: Deadline) -> BaseEmailBackend:
    """To the channel's own server, or to that of EMAIL_URL, which whoever installs it chose and nobody can edit.

    The channel's own is judged first, and the connection goes to the judged address. Raises what `judged` raises.
    """
    if not url:
        if settings.EMAIL_BACKEND != _SMTP_BACKEND:
            return get_connection()
        return Server(deadline=deadline, timeout=settings.EMAIL_TIMEOUT)
    own = environ.Env.email_url_config(url)
    host, port = own["EMAIL_HOST"], own["EMAIL_PORT"] or _usual_port()
    return Server(
        deadline=deadline,
        address=judged(host, port, settings.MONITORING_ALLOWED_WEBHOOK_HOSTS),
        host=host,
        port=port,
        username=own["EMAIL_HOST_USER"] or "",
        password=own["EMAIL_HOST_PASSWORD"] or "",
        use_tls=own.get("EMAIL_USE_TLS", False),
        use_ssl=own.get("EMAIL_USE_SSL", False),
        timeout=settings.EMAIL_TIMEOUT,
    )


def _judge(code: int, reason: str) -> Outcome:
    return Rejected(f"{reason} ({code})") if code >= _PERMANENT else Retry(f"{reason} ({code})")


def _usual_port() -> int:
    return settings.EMAIL_PORT or smtplib.SMTP_PORT


def _problems_of_server(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not parts.hostname or parts.port == 0:
            return [_NO_URL]
        judged(parts.hostname, parts.port or _usual_port(), settings.MONITORING_ALLOWED_WEBHOOK_HOSTS)
    except ForbiddenAddressError as error:
        return [str(error)]
    except UnresolvedError:  # a name may be down while a channel is edited
        return []
    except ValueError:  # a port that is no number: a password with a slash that is not quoted, for one
        return [_NO_URL]
    return []


def _is_address(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        validate_email(value)
    except ValidationError:
        return False
    return True
