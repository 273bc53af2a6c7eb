"""One-time codes: asking for one, asking again, typing it in."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from auth import errors
from auth.domain import otp
from auth.domain.audit import Entry
from auth.domain.logins import Device
from auth.domain.origin import Origin
from auth.domain.otp import Challenge, Channel, Codes, OtpPolicy
from auth.domain.people import OtpRole, mask_phone
from auth.handlers import meters
from auth.handlers.limits import LimitsHandlers
from auth.ports import (
    OtpSender,
    Phones,
    SendFailed,
    SendUncertain,
    Spawn,
    Store,
    Unit,
)
from common.log import get_logger

log = get_logger("otp")

# Only what the system chose may fall back: who asked for WhatsApp gets WhatsApp or a refusal.
_CHOSEN_BY_US: tuple[Channel, ...] = ("whatsapp", "sms")


@dataclass(frozen=True, slots=True)
class Wish:
    """A code is wanted."""

    phone: str
    role: OtpRole
    channel: Channel | None
    device_key: bytes
    request_key: bytes | None
    origin: Origin

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Return the channels to try, in order."""
        return _CHOSEN_BY_US if self.channel is None else (self.channel,)


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer to a wish; `sent_at` is set when a message has to go out for it."""

    challenge: Challenge
    resend_after: float
    sent_at: datetime | None


class OtpHandlers:
    """Hands out challenges and has their codes sent."""

    def __init__(
        self,
        *,
        store: Store,
        limits: LimitsHandlers,
        codes: Codes,
        phones: Phones,
        sender: OtpSender,
        spawn: Spawn,
    ) -> None:
        self._store = store
        self._limits = limits
        self._codes = codes
        self._phones = phones
        self._sender = sender
        self._spawn = spawn

    async def request(
        self,
        *,
        phone: str,
        role: OtpRole,
        channel: Channel | None,
        device_key: bytes,
        idempotency_key: str | None,
        origin: Origin,
    ) -> Asked:
        """Send a code to a phone, or seem to: nobody learns here who has an account."""
        key = hashlib.sha256(idempotency_key.encode()).digest() if idempotency_key else None
        wish = Wish(self._phones.normalise(phone), role, channel, device_key, key, origin)
        if not self._sender.ready():
            raise errors.OtpUnavailable
        return await self._deliver(wish, await self._store.run(lambda unit: self._ask(unit, wish)))

    async def resend(
        self, *, challenge_id: UUID, channel: Channel | None, device_key: bytes, origin: Origin
    ) -> Asked:
        """Send a living challenge's code again; make a new challenge where it has ended."""
        if not self._sender.ready():
            raise errors.OtpUnavailable

        async def work(unit: Unit) -> tuple[Wish, Asked] | None:
            challenge = await unit.find_challenge(challenge_id, device_key)
            if challenge is None or challenge.consumed_at is not None:
                return None
            wish = Wish(challenge.phone, challenge.role, channel, device_key, None, origin)
            return wish, await self._ask(unit, wish)

        found = await self._store.run(work)
        if found is None:
            raise errors.ChallengeExpired
        return await self._deliver(*found)

    async def _ask(self, unit: Unit, wish: Wish) -> Asked:
        policy = (await self._limits.load(unit)).otp
        now = await unit.now()
        is_silent = wish.role == "mitra" and not await unit.may_mitra_sign_in(wish.phone)
        taken = await unit.take_phone_send(wish.phone, now, policy)
        living = await unit.find_living(wish.phone, wish.role, wish.device_key, now)
        wait, capped = otp.send_wait(await unit.phone_sends(wish.phone), now, policy)
        if not taken:
            if living is not None and wish.request_key and living.request_key == wish.request_key:
                return Asked(living, wait, sent_at=None)
            raise (errors.TooManySends if capped else errors.ResendTooEarly)(wait)
        await self._take_shared(unit, wish, now, policy)
        challenge = await self._challenge(unit, wish, living, now, policy, is_silent=is_silent)
        await unit.audit(
            Entry(
                action="otp_requested" if living is None else "otp_resent",
                phone_masked=mask_phone(wish.phone),
                origin=wish.origin,
                detail={"role": wish.role, "challenge_id": str(challenge.challenge_id)},
            )
        )
        return Asked(challenge, wait, sent_at=now)

    async def _take_shared(self, unit: Unit, wish: Wish, now: datetime, policy: OtpPolicy) -> None:
        """Count the message for its address and the service; refusing undoes all counts."""
        address = wish.origin.address
        if not await unit.take_address_send(address, wish.phone, now, policy):
            sends = await unit.address_sends(address)
            raise errors.TooManySends(otp.address_wait(sends, wish.phone, now, policy))
        if not await unit.take_minute_send(now, policy):
            raise errors.TooManySends(60 - now.second)

    async def _challenge(
        self,
        unit: Unit,
        wish: Wish,
        living: Challenge | None,
        now: datetime,
        policy: OtpPolicy,
        *,
        is_silent: bool,
    ) -> Challenge:
        channel = wish.channels[0]
        if living is not None:
            await unit.send_again(
                living.challenge_id, channel=channel, request_key=wish.request_key
            )
            return replace(living, channel=channel)
        challenge = Challenge(
            challenge_id=uuid4(),
            phone=wish.phone,
            role=wish.role,
            device_key=wish.device_key,
            channel=channel,
            is_silent=is_silent,
            tries_left=policy.tries,
            created_at=now,
            expires_at=now + timedelta(seconds=policy.life_seconds),
            request_key=wish.request_key,
        )
        await unit.insert_challenge(challenge)
        return challenge

    async def _deliver(self, wish: Wish, asked: Asked) -> Asked:
        if asked.sent_at is None:
            return asked
        if wish.role == "mitra":
            # In the background, known or not: neither time nor failure says whose phone this is.
            self._spawn(self._send_quietly(wish, asked), "otp-send")
            return asked
        channel = await self._send(wish, asked)
        if channel is None:
            await self._give_back(wish, asked.challenge, asked.sent_at)
            raise errors.OtpUnavailable
        return replace(asked, challenge=replace(asked.challenge, channel=channel))

    async def _give_back(self, wish: Wish, challenge: Challenge, sent_at: datetime) -> None:
        await self._store.run(
            lambda unit: unit.give_back_send(challenge, wish.origin.address, sent_at)
        )

    async def _send_quietly(self, wish: Wish, asked: Asked) -> None:
        # Nothing is given back, also when nothing was sent: who may ask again sooner would be told
        # apart by it.
        if not asked.challenge.is_silent:
            await self._send(wish, asked)

    async def _send(self, wish: Wish, asked: Asked) -> Channel | None:
        """Try the channels in order; return the one that took it, or None."""
        code = self._codes.code(asked.challenge)
        for channel in wish.channels:
            try:
                await self._sender.send(phone=wish.phone, code=code, channel=channel)
            except SendUncertain:
                # It may be on its way: a second message would cost twice, a refusal would hide the
                # challenge from somebody who is about to get its code.
                meters.SENDS.labels(channel, "uncertain").inc()
                log.warning("otp_send_uncertain", channel=channel)
                return channel
            except SendFailed as error:
                meters.SENDS.labels(channel, "failed").inc()
                log.warning("otp_send_failed", channel=channel, reason=str(error))
            else:
                meters.SENDS.labels(channel, "sent").inc()
                log.info("otp_sent", channel=channel, role=wish.role)
                return channel
        return None


def device_of(device_key: bytes, name: str | None) -> Device:
    """Return the device of a sign-in."""
    printable = "".join(c for c in name or "" if c.isprintable()).strip()
    return Device(device_key, printable or None)
