"""What a signed-in person does with her own logins and name."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from auth import errors
from auth.domain.audit import Entry
from auth.domain.logins import Login, RevokeReason
from auth.domain.origin import Actor, Origin
from auth.domain.people import Person, Role
from auth.handlers.ending import Ending
from auth.ports import Store, Unit

Scope = Literal["local", "others", "all"]


class OwnLoginsHandlers:
    """Lists and ends logins of their owner."""

    def __init__(self, *, store: Store, ending: Ending) -> None:
        self._store = store
        self._ending = ending

    async def list_logins(self, *, role: Role, user_id: UUID) -> list[Login]:
        """Return the living logins of a person, newest first."""

        async def work(unit: Unit) -> list[Login]:
            return await unit.active_logins(role, user_id, await unit.now())

        return (await self._store.run(work))[::-1]

    async def log_out(self, actor: Actor, *, role: Role, scope: Scope, origin: Origin) -> None:
        """End this login, the person's other ones, or all of them."""

        async def work(unit: Unit) -> None:
            now = await unit.now()
            ids = await _chosen(unit, actor, role=role, scope=scope, now=now)
            ended = await self._ending.end(unit, ids, reason="logout")
            await unit.audit(_entry("logged_out", actor, origin, scope=scope, ended=len(ended)))

        await self._store.run(work)

    async def end_login(self, actor: Actor, *, role: Role, login_id: UUID, origin: Origin) -> None:
        """End one login of the person; LoginNotFound if it is not hers or already over."""

        async def work(unit: Unit) -> None:
            now = await unit.now()
            mine = await unit.active_logins(role, actor.user_id, now)
            if login_id not in {login.login_id for login in mine}:
                raise errors.LoginNotFound
            reason: RevokeReason = "logout" if login_id == actor.login_id else "revoked"
            await self._ending.end(unit, [login_id], reason=reason)
            await unit.audit(_entry("login_ended", actor, origin, ended_login=str(login_id)))

        await self._store.run(work)

    async def me(self, *, role: Role, user_id: UUID) -> Person:
        """Return who is signed in."""
        person = await self._store.run(lambda unit: unit.person(role, user_id))
        if person is None:
            raise errors.LoginEnded
        return person

    async def rename(self, actor: Actor, *, role: Role, name: str, origin: Origin) -> Person:
        """Change what the person is called."""

        async def work(unit: Unit) -> bool:
            if not await unit.rename(role, actor.user_id, name):
                return False
            await unit.audit(_entry("renamed", actor, origin))
            return True

        if not await self._store.run(work):
            raise errors.LoginEnded
        return Person(actor.user_id, role, name)


async def _chosen(
    unit: Unit, actor: Actor, *, role: Role, scope: Scope, now: datetime
) -> list[UUID]:
    if scope == "local":
        return [actor.login_id]
    ids = [login.login_id for login in await unit.active_logins(role, actor.user_id, now)]
    return [id_ for id_ in ids if scope == "all" or id_ != actor.login_id]


def _entry(action: str, actor: Actor, origin: Origin, **detail: object) -> Entry:
    return Entry(
        action=action,
        book="control" if actor.role == "operator" else "people",
        actor_role=actor.role,
        actor_id=actor.user_id,
        subject_id=actor.user_id,
        login_id=actor.login_id,
        origin=origin,
        detail=detail,
    )
