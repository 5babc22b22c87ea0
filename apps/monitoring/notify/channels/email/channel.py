"""Notifications by mail, text and HTML, one thread a rule."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.template.loader import render_to_string

from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Rejected, Retry
from apps.monitoring.notify.message import Message, condition

_PERMANENT: Final = 500


class EmailChannel:
    """``config``: {"to": ["ops@example.com"], "from": optional}. The server is that of EMAIL_URL."""

    kind = "email"

    def problems(self, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """Addresses that are none."""
        recipients = config.get("to")
        if not isinstance(recipients, list) or not recipients:
            return ['"to" is a list of addresses, such as ["ops@example.com"]']
        return [f"{address!r} is no address" for address in recipients if not _is_address(address)]

    def deliver(self, message: Message, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> Outcome:
        """Hand it to the mail server. 5xx answers are final, everything else is tried again (RFC 5321, 4.2.1)."""
        problems = self.problems(config, secrets)
        if problems:
            return Rejected("; ".join(problems))
        try:
            _mail(message, config).send()
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            return _judge(min(codes, default=0), "every recipient was refused")
        except smtplib.SMTPResponseException as error:
            return _judge(error.smtp_code, f"the mail server answered {error.smtp_code}")
        except (smtplib.SMTPException, OSError) as error:
            return Retry(f"the mail server cannot be reached: {type(error).__name__}")
        return Delivered()


def _judge(code: int, reason: str) -> Outcome:
    return Rejected(f"{reason} ({code})") if code >= _PERMANENT else Retry(f"{reason} ({code})")


def _mail(message: Message, config: Mapping[str, Any]) -> EmailMultiAlternatives:
    host = urlsplit(settings.MONITORING_BASE_URL).hostname or "localhost"
    thread = f"<rule-{sha256(message.rule.name.encode()).hexdigest()[:24]}@{host}>"
    mail = EmailMultiAlternatives(
        subject=message.subject,
        body=message.body(),
        from_email=config.get("from") or settings.DEFAULT_FROM_EMAIL,
        to=list(config["to"]),
        headers={
            "Message-ID": f"<{message.id}@{host}>",
            "In-Reply-To": thread,
            "References": thread,
            "List-Id": f"Agent monitoring <alerts.{host}>",
            "Auto-Submitted": "auto-generated",
            "X-Notification-Id": message.id,
        },
    )
    html = render_to_string("monitoring/notification.html", {"message": message, "condition": condition(message.rule)})
    mail.attach_alternative(html, "text/html")
    return mail


def _is_address(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        validate_email(value)
    except ValidationError:
        return False
    return True
