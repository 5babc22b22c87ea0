"""A channel is edited: which secrets it has then, what is wrong with it, what follows. By whatever way in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from apps.monitoring.models import Channel
from apps.monitoring.models.encrypted import SecretUnreadableError
from apps.monitoring.notify import channels, circuit, outbox


def checked(
    stored: Channel | None, kind: str, config: Mapping[str, Any], secrets: Mapping[str, str] | None
) -> Mapping[str, str]:
    """The secrets that the channel has after the edit; ``secrets`` None keeps those of ``stored``, which is as it was before.

    Raises ValidationError: under ``secrets`` when they are not to be had or not to be kept, else with what the kind says.
    """
    after = _stored(stored) if secrets is None else secrets
    problems = channels.get(kind).problems(config, after)
    if problems:
        raise ValidationError(problems)
    if secrets is None and stored is not None and after:
        _check_same_receiver(stored, kind, config)
    return after


def saved(channel: Channel, now: datetime) -> None:
    """Who mends a channel need not wait for its pause to end."""
    circuit.close(channel.pk, now)
    outbox.ask(channel.pk)


def _stored(channel: Channel | None) -> Mapping[str, str]:
    try:
        return {} if channel is None else dict(channel.secrets)
    except SecretUnreadableError as error:
        raise ValidationError({"secrets": f"{error}; or give the secrets anew"}) from None


def _check_same_receiver(stored: Channel, kind: str, config: Mapping[str, Any]) -> None:
    """Nobody gets secrets that they were not given for: not by an edit that says nothing of them."""
    if kind != stored.kind:
        raise ValidationError({"secrets": f"The stored secrets are those of {stored.kind}: give those of {kind}, or none."})
    handler = channels.get(kind)
    before, after = handler.goes_to(stored.config), handler.goes_to(config)
    if before != after:
        where = f"The stored secrets were given for {before}, not for {after}: give them anew, or none."
        raise ValidationError({"secrets": where})
