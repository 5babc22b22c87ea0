"""The language model: how long it takes, what it uses, how it fails. Nothing is really called or waited for."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final

from apps.monitoring.demo import parameters
from apps.monitoring.demo.incidents import Incident

NAME: Final = "openai"
TIMEOUT_MS: Final = 30_000.0


class ProviderError(Exception):
    """The model answered with an error; ``duration_ms`` passed until then."""

    def __init__(self, duration_ms: float) -> None:
        super().__init__("the language model is overloaded")
        self.duration_ms = duration_ms


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer and what it took."""

    duration_ms: float
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


class Provider:
    """One model."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def complete(self, model: str, incident: Incident, calls: int) -> Completion:
        """One of several calls for an answer. Raises ProviderError."""
        seconds = self._chance.lognormvariate(parameters.CALL_LOG_MEAN, parameters.CALL_LOG_SIGMA)
        duration = min(seconds * 1_000 * incident.slower, TIMEOUT_MS)
        if self._chance.random() < max(parameters.CALL_FAILURE, incident.call_failure):
            raise ProviderError(duration)
        prompt = self._tokens(parameters.PROMPT_LOG_MEAN, parameters.PROMPT_LOG_SIGMA, incident.tokens / calls)
        completion = self._tokens(parameters.COMPLETION_LOG_MEAN, parameters.COMPLETION_LOG_SIGMA, 1 / calls)
        cost = (prompt + completion) * parameters.PRICES[model].per_million / 1e6
        return Completion(duration, prompt, completion, round(cost, 9))

    def _tokens(self, log_mean: float, log_sigma: float, share: float) -> int:
        return max(1, round(math.exp(self._chance.gauss(log_mean, log_sigma)) * share))
