"""The Celery side: the application, its tasks by queue, and beat."""
