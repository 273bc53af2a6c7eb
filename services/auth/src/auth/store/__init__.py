"""The rows of auth: asyncpg, one short method a named query."""

from auth.store.revoked import PgRevoked
from auth.store.unit import PgStore, PgUnit

__all__ = ["PgRevoked", "PgStore", "PgUnit"]
