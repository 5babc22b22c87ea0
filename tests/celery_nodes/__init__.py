"""Nodes of pytest-celery that are processes of this machine instead of containers."""
