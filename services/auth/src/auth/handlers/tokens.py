"""Renewing tokens: one child for each generation, however often the parent is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from auth import errors
from auth.domain import logins
from auth.domain.audit import Entry
from auth.domain.logins import Ended, Lifetime, Login, RefreshPolicy, Reissue, Reused
from auth.domain.origin import Origin
from auth.domain.people import Role
from auth.domain.refresh import RefreshToken, RefreshTokens
from auth.handlers import meters
from auth.handlers.ending import Ending
from auth.handlers.issuing import Issuing, Tokens
from auth.ports import Store, Unit
from common.log import get_logger

log = get_logger("tokens")


@dataclass(frozen=True, slots=True)
class Shown:
    """A genuine refresh token and who shows it."""

    token: RefreshToken
    origin: Origin


class TokenHandlers:
    """Renews tokens and notices copies."""

    def __init__(
        self,
        *,
        store: Store,
        refresh_tokens: RefreshTokens,
        issuing: Issuing,
        ending: Ending,
        lifetimes: Mapping[Role, Lifetime],
        policy: RefreshPolicy,
    ) -> None:
        self._store = store
        self._refresh_tokens = refresh_tokens
        self._issuing = issuing
        self._ending = ending
        self._idle = {role: life.idle.total_seconds() for role, life in lifetimes.items()}
        self._policy = policy

    async def refresh(
        self, refresh_token: str, *, audience: str, device_key: bytes, origin: Origin
    ) -> Tokens:
        """Return the next tokens of a login, or again the ones that the caller missed.

        RefreshInvalid, RefreshExpired, RefreshReused and LoginEnded are final: sign in again.
        """
        token = self._refresh_tokens.read(refresh_token, audience=audience, device_key=device_key)
        shown = Shown(token, origin)
        outcome = await self._store.run(lambda unit: self._refresh(unit, shown))
        if isinstance(outcome, errors.AuthError):
            # Raised only now: noticing a copy ends the login, and that must be committed.
            meters.REFRESHES.labels(outcome.code).inc()
            raise outcome
        meters.REFRESHES.labels("renewed").inc()
        return outcome

    async def mark_seen(self, login_id: UUID, generation: int) -> None:
        """Note that a token of this generation was honoured: its refresh token was received."""
        await self._store.run(lambda unit: unit.mark_seen(login_id, generation))

    async def _refresh(self, unit: Unit, shown: Shown) -> Tokens | errors.AuthError:
        now = await unit.now()
        token = shown.token
        rotated = await unit.rotate(token.login_id, token.generation, idle=self._idle, now=now)
        if rotated is not None:
            return await self._answer(unit, rotated, shown, action="refreshed")
        login = await unit.lock_login(token.login_id)
        if login is None:
            return errors.RefreshInvalid()
        verdict = logins.judge_rotated(login, token.generation, await unit.now(), self._policy)
        if isinstance(verdict, Reissue):
            log.info(
                "refresh_repeated",
                login_id=login.login_id,
                late=verdict.late,
                network_changed=shown.origin.network != login.network,
            )
            return await self._answer(unit, login, shown, action="refresh_repeated")
        if isinstance(verdict, Reused):
            return await self._end(unit, login, shown, verdict)
        if isinstance(verdict, Ended):
            expired = verdict.state == "expired"
            return errors.RefreshExpired() if expired else errors.LoginEnded()
        return errors.RefreshInvalid()

    async def _answer(
        self, unit: Unit, login: Login, shown: Shown, *, action: str
    ) -> Tokens | errors.AuthError:
        person = await unit.person(login.role, login.user_id)
        if person is None or not person.is_active:
            return errors.LoginEnded()
        await unit.audit(_entry(action, login, shown, {"generation": login.generation}))
        return self._issuing.tokens(login, person, await unit.now())

    async def _end(
        self, unit: Unit, login: Login, shown: Shown, verdict: Reused
    ) -> errors.AuthError:
        await self._ending.end(unit, [login.login_id], reason="refresh_reused")
        detail = {
            "kind": verdict.kind,
            "shown": shown.token.generation,
            "current": login.generation,
        }
        await unit.audit(_entry("refresh_reused", login, shown, detail))
        log.warning("refresh_reused", login_id=login.login_id, kind=verdict.kind)
        return errors.RefreshReused()


def _entry(action: str, login: Login, shown: Shown, detail: Mapping[str, object]) -> Entry:
    return Entry(
        action=action,
        book="control" if login.role == "operator" else "people",
        actor_role=login.role,
        actor_id=login.user_id,
        subject_id=login.user_id,
        login_id=login.login_id,
        origin=shown.origin,
        detail=detail,
    )
