"""What ops edit and look up."""

from django.conf import settings
from django.contrib import admin

from apps.monitoring.admin import alert, audit, channel, machinery, mute, notification, rule, silence, token

admin.site.site_title = "Agent monitoring"
# On every page, because nearly every page lists times.
admin.site.site_header = f"{admin.site.site_title}, times in {settings.TIME_ZONE}"
admin.site.index_title = "Rules, channels, alerts"

__all__ = ["alert", "audit", "channel", "machinery", "mute", "notification", "rule", "silence", "token"]
