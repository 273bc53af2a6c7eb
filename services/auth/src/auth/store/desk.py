"""Wrong passwords, settings, audit, and the tidying of old rows."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from auth.domain.audit import Entry
from auth.domain.origin import Origin
from auth.domain.passwords import LockoutPolicy
from auth.ports import AuditRow, StoredConfig
from auth.store.base import QUERIES, Rows
from common.ids import new_id


class DeskRows(Rows):
    """Rows behind the control center."""

    async def now(self) -> datetime:
        """Return the database's time, read now: the only clock that decides."""
        moment: datetime = await self._tx.fetchval(QUERIES["now"])
        return moment

    async def take_password_try(
        self, account_key: bytes, address: str, now: datetime, policy: LockoutPolicy
    ) -> int | None:
        """Count one failure in advance; None while the account waits for this address."""
        failures: int | None = await self._tx.fetchval(
            QUERIES["take_password_try"],
            account_key,
            address,
            now,
            policy.tries,
            policy.first_wait_seconds,
            policy.longest_wait_seconds,
            policy.forget_after_seconds,
        )
        return failures

    async def password_blocked_until(self, account_key: bytes, address: str) -> datetime | None:
        """When the wait ends."""
        until: datetime | None = await self._tx.fetchval(
            QUERIES["password_blocked_until"], account_key, address
        )
        return until

    async def forget_password_tries(self, account_key: bytes, address: str) -> None:
        """The password was right."""
        await self._tx.execute(QUERIES["forget_password_tries"], account_key, address)

    async def config(self) -> StoredConfig | None:
        """Read the edited settings."""
        row = await self._tx.fetchrow(QUERIES["config"])
        if row is None:
            return None
        return StoredConfig(row["version"], json.loads(row["body"]), row["updated_at"])

    async def put_config(
        self, body: Mapping[str, Any], *, expected: int, by: UUID, now: datetime
    ) -> bool:
        """Replace them if their version is still the expected one (0: never edited)."""
        query = "replace_config" if expected else "put_config"
        text = json.dumps(body)
        return await self._tx.fetchval(QUERIES[query], text, expected, by, now) is not None

    async def audit(self, entry: Entry) -> None:
        """Add one row."""
        origin = entry.origin
        await self._tx.execute(
            QUERIES["audit"],
            new_id(),
            entry.book,
            await self.now(),
            entry.action,
            entry.actor_role,
            entry.actor_id,
            entry.subject_id,
            entry.login_id,
            entry.phone_masked,
            origin.address if origin else None,
            origin.user_agent if origin else None,
            origin.request_id if origin else None,
            json.dumps(entry.detail),
        )

    async def audit_before(
        self, before: UUID | None, *, subject_id: UUID | None, action: str | None, limit: int
    ) -> list[AuditRow]:
        """List rows, newest first."""
        rows = await self._tx.fetch(QUERIES["audit_before"], before, subject_id, action, limit)
        return [AuditRow(row["audit_id"], row["at"], _entry(row)) for row in rows]

    async def due(self, limit: int) -> list[tuple[str, UUID]]:
        """List what is past its time."""
        return [(row["kind"], row["id"]) for row in await self._tx.fetch(QUERIES["due"], limit)]

    async def prune(self, limit: int) -> int:
        """Delete up to `limit` old rows of each kind; how many went."""
        now = await self.now()
        tags = [
            await self._tx.execute(QUERIES[name], now, limit)
            for name in ("prune_phones", "prune_addresses", "prune_tries", "prune_logins")
        ]
        tags.append(await self._tx.execute(QUERIES["prune_minutes"], now))
        return sum(int(tag.rsplit(" ", 1)[1]) for tag in tags)

    async def keep_audit(self, *, people_days: int, control_days: int) -> None:
        """Prepare the coming months of the audit and drop those past their time."""
        await self._tx.execute(QUERIES["keep_audit"], people_days, control_days)


def _entry(row: Record) -> Entry:
    return Entry(
        action=row["action"],
        book=row["book"],
        actor_role=row["actor_role"],
        actor_id=row["actor_id"],
        subject_id=row["subject_id"],
        login_id=row["login_id"],
        phone_masked=row["phone_masked"],
        origin=Origin(row["address"] or "", row["user_agent"] or "", row["request_id"] or ""),
        detail=json.loads(row["detail"]),
    )
