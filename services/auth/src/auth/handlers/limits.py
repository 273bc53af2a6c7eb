"""The limits as they work now: defaults of the environment, unless operators edited them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from auth import errors
from auth.domain.audit import Entry
from auth.domain.origin import Actor, Origin
from auth.domain.otp import OtpPolicy
from auth.domain.passwords import LockoutPolicy
from auth.events import ConfigChanged
from auth.ports import Store, StoredConfig, Unit
from common.log import get_logger

P = TypeVar("P", OtpPolicy, LockoutPolicy)

log = get_logger("settings")


@dataclass(frozen=True, slots=True)
class Limits:
    """One consistent set."""

    otp: OtpPolicy
    lockout: LockoutPolicy
    version: int = 0
    updated_at: datetime | None = None


class LimitsHandlers:
    """Reads and changes the limits; a change works from the next transaction on, everywhere."""

    def __init__(self, *, store: Store, defaults: Limits) -> None:
        self._store = store
        self._defaults = defaults

    async def load(self, unit: Unit) -> Limits:
        """Return the limits of this moment."""
        stored = await unit.config()
        return self._defaults if stored is None else self._merge(stored)

    async def read(self) -> Limits:
        """Return the limits of this moment, outside of other work."""
        return await self._store.run(self.load)

    async def change(self, limits: Limits, *, actor: Actor, origin: Origin) -> Limits:
        """Replace the limits whose version was read; ConfigConflict if somebody was faster."""

        async def work(unit: Unit) -> Limits | None:
            now = await unit.now()
            before = await self.load(unit)
            body = _body(limits)
            if not await unit.put_config(body, expected=limits.version, by=actor.user_id, now=now):
                return None
            version = limits.version + 1
            changed = {
                section: {"from": old, "to": body[section]}
                for section, old in _body(before).items()
                if old != body[section]
            }
            await unit.audit(
                Entry(
                    action="settings_changed",
                    book="control",
                    actor_role=actor.role,
                    actor_id=actor.user_id,
                    login_id=actor.login_id,
                    origin=origin,
                    detail={"section": "auth", "version": version, "changed": changed},
                )
            )
            await unit.append(ConfigChanged(section="auth", version=version, at=now))
            return replace(limits, version=version, updated_at=now)

        done = await self._store.run(work)
        if done is None:
            raise errors.ConfigConflict((await self.read()).version)
        log.info("settings_changed", section="auth", version=done.version, by=actor.user_id)
        return done

    def _merge(self, stored: StoredConfig) -> Limits:
        return Limits(
            otp=_over(self._defaults.otp, stored.body.get("otp", {})),
            lockout=_over(self._defaults.lockout, stored.body.get("lockout", {})),
            version=stored.version,
            updated_at=stored.updated_at,
        )


def _over(defaults: P, stored: Mapping[str, Any]) -> P:
    # A newer or older release may have stored a field that this one does not know.
    names = {field.name for field in fields(defaults)}
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in stored.items()
        if name in names
    }
    return replace(defaults, **known)


def _body(limits: Limits) -> dict[str, dict[str, Any]]:
    otp = asdict(limits.otp)
    otp["resend_waits_seconds"] = list(limits.otp.resend_waits_seconds)
    return {"otp": otp, "lockout": asdict(limits.lockout)}


def actor_entry(actor: Actor, *, action: str, origin: Origin, **more: UUID | None) -> Entry:
    """Return the audit row of something a signed-in person did."""
    return Entry(
        action=action,
        book="control" if actor.role == "operator" else "people",
        actor_role=actor.role,
        actor_id=actor.user_id,
        login_id=actor.login_id,
        origin=origin,
        subject_id=more.get("subject_id"),
    )
