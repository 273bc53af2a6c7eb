"""Postgres: what one transaction may do (`work`), and what is only read (`pg`)."""

from chat.store.pg import PgStore

__all__ = ["PgStore"]
