"""What ops edit and look up."""

from apps.monitoring.admin import alert, channel, machinery, notification, rule, token

__all__ = ["alert", "channel", "machinery", "notification", "rule", "token"]
