"""Who is connected to this replica: by user, to be told; by login, to be ended."""

from collections.abc import Iterator
from uuid import UUID

from common.sockets.connection import Connection


class Registry:
    """The connections of one replica."""

    def __init__(self) -> None:
        # Tuples: nearly everybody has one connection, and a set of one is four times as large.
        self._by_user: dict[UUID, tuple[Connection, ...]] = {}
        self._by_login: dict[UUID, tuple[Connection, ...]] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter([connection for mine in self._by_user.values() for connection in mine])

    def __len__(self) -> int:
        return sum(len(mine) for mine in self._by_user.values())

    def add(self, connection: Connection) -> None:
        """Note an authenticated connection."""
        caller = connection.caller
        for index, key in ((self._by_user, caller.user_id), (self._by_login, caller.login_id)):
            index[key] = (*index.get(key, ()), connection)

    def discard(self, connection: Connection) -> None:
        """Forget a connection; a fresh token keeps user and login, so the keys still fit."""
        caller = connection.caller
        for index, key in ((self._by_user, caller.user_id), (self._by_login, caller.login_id)):
            left = tuple(one for one in index.get(key, ()) if one is not connection)
            if left:
                index[key] = left
            else:
                index.pop(key, None)

    def of_user(self, user_id: UUID) -> tuple[Connection, ...]:
        """Return the connections of a user."""
        return self._by_user.get(user_id, ())

    def of_login(self, login_id: UUID) -> tuple[Connection, ...]:
        """Return the connections of a login."""
        return self._by_login.get(login_id, ())

    def users(self) -> set[UUID]:
        """Return who is connected."""
        return set(self._by_user)

    def logins(self) -> list[UUID]:
        """Return the logins with an open connection."""
        return list(self._by_login)
