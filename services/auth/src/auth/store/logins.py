"""Logins."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from auth.domain.logins import Login, RevokeReason
from auth.domain.people import Role
from auth.store.base import QUERIES, Rows


class LoginRows(Rows):
    """Rows of logins."""

    async def active_logins(self, role: Role, user_id: UUID, now: datetime) -> list[Login]:
        """List a person's living logins, oldest first."""
        rows = await self._tx.fetch(QUERIES["active_logins"], role, user_id, now)
        return [_login(row) for row in rows]

    async def insert_login(self, login: Login) -> None:
        """Write a new login."""
        await self._tx.execute(
            QUERIES["insert_login"],
            login.login_id,
            login.user_id,
            login.role,
            login.device_key,
            login.device_name,
            login.network,
            login.user_agent,
            login.created_at,
            login.expires_at,
            login.absolute_expires_at,
        )

    async def rotate(
        self, login_id: UUID, generation: int, *, idle: Mapping[Role, float], now: datetime
    ) -> Login | None:
        """Make the next generation current if this one is; the login as it is then, or None."""
        row = await self._tx.fetchrow(
            QUERIES["rotate"],
            login_id,
            generation,
            now,
            idle["customer"],
            idle["mitra"],
            idle["operator"],
        )
        return None if row is None else _login(row)

    async def lock_login(self, login_id: UUID) -> Login | None:
        """Find and lock a login."""
        row = await self._tx.fetchrow(QUERIES["lock_login"], login_id)
        return None if row is None else _login(row)

    async def mark_seen(self, login_id: UUID, generation: int) -> None:
        """Remember that an access token of this generation was honoured."""
        await self._tx.execute(QUERIES["mark_seen"], login_id, generation)

    async def revoke(
        self, login_ids: Sequence[UUID], *, reason: RevokeReason, now: datetime
    ) -> list[Login]:
        """End those of these logins that are still active; returns them."""
        rows = await self._tx.fetch(QUERIES["revoke"], list(login_ids), reason, now)
        return [_login(row) for row in rows]

    async def expire_login(self, login_id: UUID, now: datetime) -> bool:
        """End a login that is past its time."""
        return await self._changed("expire_login", login_id, now)


def _login(row: Record) -> Login:
    return Login(
        login_id=row["login_id"],
        user_id=row["user_id"],
        role=row["role"],
        state=row["state"],
        generation=row["generation"],
        seen_generation=row["seen_generation"],
        rotated_at=row["rotated_at"],
        device_key=row["device_key"],
        device_name=row["device_name"],
        network=row["network"],
        user_agent=row["user_agent"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        expires_at=row["expires_at"],
        absolute_expires_at=row["absolute_expires_at"],
    )
