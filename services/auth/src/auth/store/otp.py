"""One-time codes and their limits."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from asyncpg import Record

from auth.domain.otp import AddressSends, Challenge, Channel, OtpPolicy
from auth.domain.people import OtpRole
from auth.store.base import QUERIES, Rows


class OtpRows(Rows):
    """Rows of challenges, and of what phones and addresses did lately."""

    async def take_phone_send(self, phone: str, now: datetime, policy: OtpPolicy) -> bool:
        """Count one message to a phone, if ladder and caps allow it."""
        taken = await self._tx.fetchval(
            QUERIES["take_phone_send"],
            phone,
            now,
            policy.sends_per_phone_hour,
            policy.sends_per_phone_day,
            [float(wait) for wait in policy.resend_waits_seconds],
        )
        return taken is not None

    async def take_address_send(
        self, address: str, phone: str, now: datetime, policy: OtpPolicy
    ) -> bool:
        """Count one message asked for by an address, if its caps allow it."""
        taken = await self._tx.fetchval(
            QUERIES["take_address_send"],
            address,
            phone,
            now,
            policy.sends_per_address_hour,
            policy.phones_per_address_hour,
        )
        return taken is not None

    async def take_minute_send(self, now: datetime, policy: OtpPolicy) -> bool:
        """Count one message of the whole service."""
        taken = await self._tx.fetchval(QUERIES["take_minute_send"], now, policy.sends_per_minute)
        return taken is not None

    async def give_back_send(self, challenge: Challenge, address: str, sent_at: datetime) -> None:
        """Undo the counts of a message that was certainly not sent, and a challenge never sent."""
        await self._tx.execute(QUERIES["give_back_phone_send"], challenge.phone, sent_at)
        await self._tx.execute(QUERIES["give_back_address_send"], address, sent_at)
        await self._tx.execute(QUERIES["unsend"], challenge.challenge_id)
        await self._tx.execute(QUERIES["delete_unsent"], challenge.challenge_id)

    async def phone_sends(self, phone: str) -> list[datetime]:
        """When this phone was sent something."""
        return list(await self._tx.fetchval(QUERIES["phone_sends"], phone) or ())

    async def address_sends(self, address: str) -> AddressSends:
        """What this address asked for."""
        row = await self._tx.fetchrow(QUERIES["address_sends"], address)
        return AddressSends((), ()) if row is None else AddressSends(row["sent_at"], row["sent_to"])

    async def find_living(
        self, phone: str, role: OtpRole, device_key: bytes, now: datetime
    ) -> Challenge | None:
        """Find the newest challenge that may still be answered."""
        row = await self._tx.fetchrow(QUERIES["find_living"], phone, role, device_key, now)
        return None if row is None else _challenge(row)

    async def find_challenge(self, challenge_id: UUID, device_key: bytes) -> Challenge | None:
        """Find a challenge of this device, living or not."""
        row = await self._tx.fetchrow(QUERIES["find_challenge"], challenge_id, device_key)
        return None if row is None else _challenge(row)

    async def insert_challenge(self, challenge: Challenge) -> None:
        """Write a new challenge."""
        await self._tx.execute(
            QUERIES["insert_challenge"],
            challenge.challenge_id,
            challenge.phone,
            challenge.role,
            challenge.device_key,
            challenge.channel,
            challenge.request_key,
            challenge.is_silent,
            challenge.tries_left,
            challenge.created_at,
            challenge.expires_at,
        )

    async def send_again(
        self, challenge_id: UUID, *, channel: Channel, request_key: bytes | None
    ) -> None:
        """Note another message for a living challenge."""
        await self._tx.execute(QUERIES["send_again"], challenge_id, channel, request_key)

    async def take_wrong(
        self, phone: str, address: str, now: datetime, policy: OtpPolicy
    ) -> Literal["taken", "phone", "address"]:
        """Count one wrong code in advance; names whoever has had too many."""
        limit = policy.wrong_per_phone_day
        if await self._tx.fetchval(QUERIES["take_phone_wrong"], phone, now, limit) is None:
            return "phone"
        limit = policy.wrong_per_address_hour
        if await self._tx.fetchval(QUERIES["take_address_wrong"], address, now, limit) is None:
            return "address"
        return "taken"

    async def forgive_wrong(self, phone: str, address: str, now: datetime) -> None:
        """Take that count back: the code was right."""
        await self._tx.execute(QUERIES["forgive_phone_wrong"], phone, now)
        await self._tx.execute(QUERIES["forgive_address_wrong"], address, now)

    async def wrong_codes(self, phone: str, address: str) -> tuple[list[datetime], list[datetime]]:
        """When wrong codes were typed, by phone and by address."""
        by_phone = await self._tx.fetchval(QUERIES["phone_wrong"], phone)
        by_address = await self._tx.fetchval(QUERIES["address_wrong"], address)
        return list(by_phone or ()), list(by_address or ())

    async def take_try(
        self, challenge_id: UUID, *, phone: str, device_key: bytes, now: datetime
    ) -> Challenge | None:
        """Use up one try of a living challenge of this phone and device."""
        row = await self._tx.fetchrow(QUERIES["take_try"], challenge_id, phone, device_key, now)
        return None if row is None else _challenge(row)

    async def consume(self, challenge_id: UUID, now: datetime) -> bool:
        """Use the challenge up, once."""
        return await self._changed("consume", challenge_id, now)

    async def delete_challenge(self, challenge_id: UUID, now: datetime) -> bool:
        """Delete a challenge an hour past its end."""
        return await self._changed("delete_challenge", challenge_id, now)


def _challenge(row: Record) -> Challenge:
    return Challenge(
        challenge_id=row["challenge_id"],
        phone=row["phone"],
        role=row["role"],
        device_key=row["device_key"],
        channel=row["channel"],
        is_silent=row["is_silent"],
        tries_left=row["tries_left"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        consumed_at=row["consumed_at"],
        request_key=row["request_key"],
    )
