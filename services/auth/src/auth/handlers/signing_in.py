"""Typing the code in: one right answer opens one login."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from auth import errors
from auth.domain import otp
from auth.domain.audit import Entry
from auth.domain.logins import Device
from auth.domain.origin import Origin
from auth.domain.otp import Challenge, Codes, OtpPolicy
from auth.domain.people import Person, default_name, mask_phone
from auth.handlers import meters
from auth.handlers.issuing import Issuing, Tokens
from auth.handlers.limits import LimitsHandlers
from auth.ports import Phones, Store, Unit


@dataclass(frozen=True, slots=True)
class Answer:
    """A code as it was typed in."""

    challenge_id: UUID
    phone: str
    code: str
    device: Device
    origin: Origin


class SignInHandlers:
    """Turns right codes into logins."""

    def __init__(
        self,
        *,
        store: Store,
        limits: LimitsHandlers,
        codes: Codes,
        phones: Phones,
        issuing: Issuing,
    ) -> None:
        self._store = store
        self._limits = limits
        self._codes = codes
        self._phones = phones
        self._issuing = issuing

    async def verify(
        self, *, challenge_id: UUID, phone: str, code: str, device: Device, origin: Origin
    ) -> Tokens:
        """Open a login for the right code.

        CodeInvalid and ChallengeExpired read the same; TooMany after too many wrong codes.
        """
        answer = Answer(challenge_id, self._phones.normalise(phone), code, device, origin)
        outcome = await self._store.run(lambda unit: self._verify(unit, answer))
        if isinstance(outcome, errors.AuthError):
            # Raised only now: the count of a wrong code must stay, so its transaction must commit.
            meters.CODES.labels(outcome.code).inc()
            raise outcome
        meters.CODES.labels("right").inc()
        meters.SIGN_INS.labels(outcome.person.role).inc()
        return outcome

    async def _verify(self, unit: Unit, answer: Answer) -> Tokens | errors.AuthError:
        policy = (await self._limits.load(unit)).otp
        now = await unit.now()
        await self._take_wrong(unit, answer, now, policy)
        challenge = await unit.take_try(
            answer.challenge_id, phone=answer.phone, device_key=answer.device.key, now=now
        )
        if challenge is None:
            raise await self._why_dead(unit, answer)
        if not self._codes.fits(challenge, answer.code) or challenge.is_silent:
            await unit.audit(_entry("otp_wrong", answer, {"tries_left": challenge.tries_left}))
            return errors.CodeInvalid()
        await unit.forgive_wrong(answer.phone, answer.origin.address, now)
        if not await unit.consume(challenge.challenge_id, now):
            raise errors.ChallengeExpired
        return await self._open(unit, challenge, answer, now)

    async def _take_wrong(
        self, unit: Unit, answer: Answer, now: datetime, policy: OtpPolicy
    ) -> None:
        """Count this code as wrong before it is looked at: parallel guesses cannot outrun it."""
        address = answer.origin.address
        taken = await unit.take_wrong(answer.phone, address, now, policy)
        if taken == "taken":
            return
        by_phone, by_address = await unit.wrong_codes(answer.phone, address)
        if taken == "phone":
            limit = policy.wrong_per_phone_day
            raise errors.TooMany(otp.window_wait(by_phone, now, limit=limit, span=otp.DAY))
        limit = policy.wrong_per_address_hour
        raise errors.TooMany(otp.window_wait(by_address, now, limit=limit, span=otp.HOUR))

    @staticmethod
    async def _why_dead(unit: Unit, answer: Answer) -> errors.AuthError:
        # Only whoever holds the challenge of this phone on this device learns that it has ended.
        found = await unit.find_challenge(answer.challenge_id, answer.device.key)
        if found is None or found.phone != answer.phone:
            return errors.CodeInvalid()
        return errors.ChallengeExpired()

    async def _open(
        self, unit: Unit, challenge: Challenge, answer: Answer, now: datetime
    ) -> Tokens | errors.AuthError:
        person, created = await _person_of(unit, challenge, now)
        if person is None or not person.is_active:
            await unit.audit(_entry("sign_in_refused", answer, {"role": challenge.role}))
            return errors.AccountInactive()
        login = await self._issuing.open_login(
            unit, person, device=answer.device, origin=answer.origin
        )
        await unit.audit(
            Entry(
                action="signed_in",
                actor_role=person.role,
                actor_id=person.user_id,
                subject_id=person.user_id,
                login_id=login.login_id,
                phone_masked=mask_phone(answer.phone),
                origin=answer.origin,
                detail={"by": "otp", "is_new": created},
            )
        )
        return self._issuing.tokens(login, person, now)


async def _person_of(unit: Unit, challenge: Challenge, now: datetime) -> tuple[Person | None, bool]:
    if challenge.role == "mitra":
        return await unit.lock_mitra_of(challenge.phone), False
    person, created = await unit.sign_in_customer(
        challenge.phone, default_name(challenge.challenge_id), now
    )
    return person, created


def _entry(action: str, answer: Answer, detail: Mapping[str, object]) -> Entry:
    return Entry(
        action=action,
        phone_masked=mask_phone(answer.phone),
        origin=answer.origin,
        detail={"challenge_id": str(answer.challenge_id), **detail},
    )
