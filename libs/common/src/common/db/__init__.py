"""Postgres: a pool that fails fast, transactions with after-commit callbacks, named queries."""

from common.db.errors import Busy, CommitUnknown, ConnectionLost, Unavailable
from common.db.pool import Database
from common.db.queries import Queries, QueryError
from common.db.session import Connection, Transaction

__all__ = [
    "Busy",
    "CommitUnknown",
    "Connection",
    "ConnectionLost",
    "Database",
    "Queries",
    "QueryError",
    "Transaction",
    "Unavailable",
]
