"""The tables: what is stored, nothing of how it is computed."""

from apps.monitoring.models.alert import Alert, AlertState, AlertTransition
from apps.monitoring.models.audit import AuditEntry
from apps.monitoring.models.channel import Channel
from apps.monitoring.models.compaction import Compaction, RetentionFloor, SeriesPurge
from apps.monitoring.models.mute import MuteWindow
from apps.monitoring.models.notification import Notification
from apps.monitoring.models.progress import EvaluationProgress, Judging, RollupBatch, ShardProgress, TaskRun
from apps.monitoring.models.rule import AlertRule
from apps.monitoring.models.silence import Silence
from apps.monitoring.models.snapshot import MetricSnapshot, Series
from apps.monitoring.models.token import ApiToken

__all__ = [
    "Alert",
    "AlertRule",
    "AlertState",
    "AlertTransition",
    "ApiToken",
    "AuditEntry",
    "Channel",
    "Compaction",
    "EvaluationProgress",
    "Judging",
    "MetricSnapshot",
    "MuteWindow",
    "Notification",
    "RetentionFloor",
    "RollupBatch",
    "Series",
    "SeriesPurge",
    "ShardProgress",
    "Silence",
    "TaskRun",
]
