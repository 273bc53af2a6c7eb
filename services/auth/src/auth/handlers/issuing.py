"""Opening a login and the tokens that come with it."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from auth.domain import logins
from auth.domain.logins import Device, Lifetime, Login
from auth.domain.origin import Origin
from auth.domain.people import AUDIENCE, Person, Role
from auth.domain.refresh import RefreshTokens
from auth.handlers.ending import Ending
from auth.ports import Signer, Unit
from common.ids import new_id

ISSUER = "temani"
# Subtracted at random, so that apps which signed in together do not renew together.
_JITTER = 0.05


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client gets; it must not be logged."""

    access_token: str
    access_expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime
    now: datetime
    person: Person
    login_id: UUID


class Issuing:
    """Opens logins within a transaction and makes their tokens."""

    def __init__(
        self,
        *,
        signer: Signer,
        refresh_tokens: RefreshTokens,
        lifetimes: Mapping[Role, Lifetime],
        ending: Ending,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._signer = signer
        self._refresh_tokens = refresh_tokens
        self._lifetimes = lifetimes
        self._ending = ending
        self._chance = chance

    async def open_login(
        self, unit: Unit, person: Person, *, device: Device, origin: Origin
    ) -> Login:
        """Write a new login; the oldest go where the role's cap is reached.

        The caller holds the lock of the person's row, so two sign-ins cannot both count.
        """
        now = await unit.now()
        lifetime = self._lifetimes[person.role]
        active = await unit.active_logins(person.role, person.user_id, now)
        surplus = logins.to_evict(active, lifetime.cap)
        await self._ending.end(unit, [login.login_id for login in surplus], reason="evicted")
        expires_at, absolute = logins.first_expiry(now, lifetime)
        login = Login(
            login_id=new_id(),
            user_id=person.user_id,
            role=person.role,
            state="active",
            generation=0,
            seen_generation=-1,
            rotated_at=now,
            device_key=device.key,
            device_name=device.name,
            network=origin.network,
            user_agent=origin.user_agent,
            created_at=now,
            last_used_at=now,
            expires_at=expires_at,
            absolute_expires_at=absolute,
        )
        await unit.insert_login(login)
        return login

    def tokens(self, login: Login, person: Person, now: datetime) -> Tokens:
        """Make the tokens of the login's current generation."""
        life = self._lifetimes[login.role].access.total_seconds()
        seconds = int(life * (1 - _JITTER * self._chance()))
        issued_at = int(now.timestamp())
        expires_at = min(issued_at + seconds, int(login.absolute_expires_at.timestamp()))
        audience = AUDIENCE[login.role]
        access = self._signer.access_token(
            {
                "iss": ISSUER,
                "aud": audience,
                "sub": str(login.user_id),
                "sid": str(login.login_id),
                "role": login.role,
                "gen": login.generation,
                "iat": issued_at,
                "exp": expires_at,
                "jti": str(new_id()),
            }
        )
        refresh = self._refresh_tokens.mint(
            login.login_id, login.generation, audience=audience, device_key=login.device_key
        )
        return Tokens(
            access_token=access,
            access_expires_at=now + timedelta(seconds=expires_at - issued_at),
            refresh_token=refresh,
            refresh_expires_at=login.expires_at,
            now=now,
            person=person,
            login_id=login.login_id,
        )
