"""What ops edit and look up."""

from django.contrib import admin

from apps.monitoring.admin import alert, audit, channel, machinery, mute, notification, rule, silence, token

admin.site.site_header = admin.site.site_title = "Agent monitoring"
admin.site.index_title = "Rules, channels, alerts"

__all__ = ["alert", "audit", "channel", "machinery", "mute", "notification", "rule", "silence", "token"]
