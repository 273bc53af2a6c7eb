"""Customers, mitras, operators."""

from datetime import datetime
from typing import Final
from uuid import UUID

from asyncpg import Record

from auth.domain.passwords import Credentials
from auth.domain.people import Mitra, Person, Role
from auth.store.base import QUERIES, Rows
from common.ids import new_id

_PERSON: Final[dict[Role, str]] = {
    "customer": "customer",
    "mitra": "mitra_person",
    "operator": "operator",
}
_RENAME: Final[dict[Role, str]] = {"customer": "rename_customer", "mitra": "rename_mitra"}


class PeopleRows(Rows):
    """Rows of people."""

    async def sign_in_customer(self, phone: str, name: str, now: datetime) -> tuple[Person, bool]:
        """Find or create the customer of a phone and lock the row; True if created."""
        fresh = new_id()
        row = await self._tx.fetchrow(QUERIES["sign_in_customer"], fresh, phone, name, now)
        assert row is not None
        found = row["customer_id"]
        return Person(found, "customer", row["display_name"]), found == fresh

    async def lock_mitra_of(self, phone: str) -> Person | None:
        """Find and lock the mitra of a phone."""
        row = await self._tx.fetchrow(QUERIES["lock_mitra_of"], phone)
        if row is None:
            return None
        return Person(row["mitra_id"], "mitra", row["display_name"], row["is_active"])

    async def may_mitra_sign_in(self, phone: str) -> bool:
        """Whether an active mitra has this phone."""
        return bool(await self._tx.fetchval(QUERIES["may_mitra_sign_in"], phone))

    async def lock_operator(self, email: str) -> Person | None:
        """Find and lock an operator."""
        row = await self._tx.fetchrow(QUERIES["lock_operator"], email)
        if row is None:
            return None
        return Person(row["operator_id"], "operator", row["display_name"], row["is_active"])

    async def credentials(self, email: str) -> Credentials | None:
        """Find an operator's password hash."""
        row = await self._tx.fetchrow(QUERIES["credentials"], email)
        return None if row is None else Credentials(row["password_hash"], row["is_active"])

    async def replace_hash(self, email: str, *, old: str, new: str) -> None:
        """Store a better hash of the same password, unless the password changed meanwhile."""
        await self._tx.execute(QUERIES["replace_hash"], email, old, new)

    async def insert_operator(
        self, operator_id: UUID, *, email: str, name: str, password_hash: str, now: datetime
    ) -> bool:
        """Create an operator; False if the e-mail is taken."""
        made = await self._tx.fetchval(
            QUERIES["insert_operator"], operator_id, email, name, password_hash, now
        )
        return made is not None

    async def person(self, role: Role, user_id: UUID) -> Person | None:
        """Find somebody by role and id."""
        row = await self._tx.fetchrow(QUERIES[_PERSON[role]], user_id)
        return None if row is None else Person(user_id, role, row["display_name"], row["is_active"])

    async def rename(self, role: Role, user_id: UUID, name: str) -> bool:
        """Change a customer's or mitra's display name."""
        return await self._changed(_RENAME[role], user_id, name)

    async def insert_mitra(self, mitra: Mitra, *, created_by: UUID) -> bool:
        """Create a mitra; False if the phone is taken."""
        made = await self._tx.fetchval(
            QUERIES["insert_mitra"],
            mitra.mitra_id,
            mitra.phone,
            mitra.display_name,
            mitra.created_at,
            created_by,
        )
        return made is not None

    async def mitra(self, mitra_id: UUID) -> Mitra | None:
        """Find a mitra."""
        row = await self._tx.fetchrow(QUERIES["mitra"], mitra_id)
        return None if row is None else _mitra(row)

    async def switch_mitra(
        self, mitra_id: UUID, *, is_active: bool, reason: str | None, now: datetime
    ) -> Mitra | None:
        """Set is_active and bump the version; None if it was so already or nobody is there."""
        row = await self._tx.fetchrow(QUERIES["switch_mitra"], mitra_id, is_active, reason, now)
        return None if row is None else _mitra(row)

    async def mitras_after(self, after: UUID | None, limit: int) -> list[Mitra]:
        """List mitras, newest first, older than `after`."""
        return [_mitra(row) for row in await self._tx.fetch(QUERIES["mitras_after"], after, limit)]


def _mitra(row: Record) -> Mitra:
    return Mitra(
        mitra_id=row["mitra_id"],
        phone=row["phone"],
        display_name=row["display_name"],
        is_active=row["is_active"],
        version=row["version"],
        created_at=row["created_at"],
    )
