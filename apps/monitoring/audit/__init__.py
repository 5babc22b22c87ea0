"""Every edit of a rule, a channel, a silence or a mute window: who, when, before, after."""
