"""A private Postgres and a private Valkey from PyPI wheels, for a checkout that has no servers."""
