"""Celery tasks: thin wrappers of functions that run and test without Celery."""
