"""What can be wrong with a question. Each message is one line that a person can act on."""

from __future__ import annotations


class QueryError(Exception):
    """The question cannot be answered."""


class UnknownTenantError(QueryError):
    """Nothing was ever recorded for the tenant."""

    def __init__(self, tenant: str) -> None:
        super().__init__(f"nothing was ever recorded for tenant {tenant!r}")
        self.tenant = tenant


class RangeError(QueryError):
    """The range of time cannot be read, or is empty."""


class QuestionError(QueryError):
    """There is no such metric, or it has no such statistic or label."""


class HotStoreUnavailableError(QueryError):
    """The live part cannot be read, so the answer would be wrong."""


class UnknownRuleError(QueryError):
    """There is no rule of this name."""


class NotJudgedError(RangeError):
    """The minute is still open, or was not judged yet."""
