"""What the driver's many errors mean to a caller: try later, try again, or a fault of ours."""

import re
from typing import ClassVar

import asyncpg


class Unavailable(Exception):
    """Postgres cannot answer now; try again later."""

    code: ClassVar[str] = "unavailable"

    def __init__(self, detail: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(detail or self.__doc__)
        self.retry_after = retry_after


class Busy(Unavailable):
    """A lock or a deadlock stood in the way; the transaction was rolled back."""


class ConnectionLost(Unavailable):
    """The connection broke before COMMIT was sent; nothing was written."""


class CommitUnknown(Unavailable):
    """The connection broke while committing: the change may have been written or not."""


# Whoever lost a race for a lock may run the whole transaction again.
_BUSY = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, crash, "starting up", statement_timeout
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.InternalClientError,  # the protocol lost its place: the connection is worthless
)
_AWAY = (
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.ReadOnlySQLTransactionError,  # a standby, while a failover is under way
)
# A neighbour's published function that is not there (yet): services migrate in any order.
_PUBLISHED = re.compile(r"function \w+\.\w+_v\d+\(")
# asyncpg reports a connection that the server closed as a misuse of its interface.
_CLOSED_TEXTS = ("connection is closed", "connection was closed", "connection has been released")


def is_lost(error: BaseException) -> bool:
    """Whether the connection behind this error can no longer be trusted."""
    if isinstance(error, asyncpg.InterfaceError):
        return any(text in str(error) for text in _CLOSED_TEXTS)
    return isinstance(error, _LOST)


def translate(error: Exception) -> Exception:
    """Return what to raise instead of a driver error; itself, when the fault is the caller's."""
    if isinstance(error, Unavailable):
        return error
    if isinstance(error, _BUSY):
        return Busy(_name(error), retry_after=0.5)
    if is_lost(error):
        return ConnectionLost(_name(error))
    if isinstance(error, _AWAY):
        return Unavailable(_name(error), retry_after=2.0)
    if _is_unpublished(error):
        return Unavailable(_name(error), retry_after=5.0)
    return error


def _is_unpublished(error: Exception) -> bool:
    if isinstance(error, asyncpg.InvalidSchemaNameError):
        return True
    return isinstance(error, asyncpg.UndefinedFunctionError) and bool(_PUBLISHED.search(str(error)))


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
