"""A mail server, a webhook receiver and a Sentry endpoint in one process, to see what the channels send."""
