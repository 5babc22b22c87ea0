"""The language model: how long it takes, what it uses, how it fails. Nothing is really called or waited for."""

from __future__ import annotations

import random
from dataclasses import dataclass

from apps.monitoring.demo import parameters
from apps.monitoring.demo.clock import Steps
from apps.monitoring.demo.incidents import Incident
from apps.monitoring.demo.parameters import Behaviour


class ProviderError(Exception):
    """A call that failed."""


class RateLimitError(ProviderError):
    """The provider refused the call."""


class DeadlineError(ProviderError):
    """The provider took too long."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What an answered call used."""

    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class Provider:
    """One tenant's access to language models."""

    def __init__(self, behaviour: Behaviour, chance: random.Random) -> None:
        self._behaviour = behaviour
        self._chance = chance

    def complete(self, model: str, context_tokens: int, incident: Incident) -> Steps[Completion]:
        """One call. Raises ProviderError."""
        if self._chance.random() < max(parameters.CALL_FAILURE, incident.call_failure):
            yield self._chance.uniform(*parameters.REFUSAL_SECONDS)
            raise RateLimitError("too many requests")
        drawn = self._chance.lognormvariate(self._behaviour.call_log_mean, self._behaviour.call_log_sigma)
        takes = drawn * parameters.CALL_TIME_FACTOR * incident.slower
        yield min(takes, parameters.TIMEOUT_SECONDS)
        if takes > parameters.TIMEOUT_SECONDS:
            raise DeadlineError(f"no answer within {parameters.TIMEOUT_SECONDS:g} seconds")
        return self._completion(model, round(context_tokens * incident.tokens))

    def _completion(self, model: str, prompt: int) -> Completion:
        log_mean, log_sigma = self._behaviour.completion_log_mean, self._behaviour.completion_log_sigma
        completion = max(1, round(self._chance.lognormvariate(log_mean, log_sigma)))
        return Completion(prompt, completion, round((prompt + completion) * parameters.PRICES[model] / 1e6, 9))
