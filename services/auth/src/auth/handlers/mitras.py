"""Mitras, as operators make them and switch them off and on."""

from collections.abc import Mapping
from uuid import UUID

from auth import errors
from auth.domain.audit import Entry
from auth.domain.origin import Actor, Origin
from auth.domain.people import Mitra, mask_phone
from auth.events import MitraCreated, MitraDeactivated, MitraReactivated
from auth.handlers.ending import Ending
from auth.ports import Phones, Store, Unit
from common.ids import new_id
from common.log import get_logger

log = get_logger("mitras")


class MitraHandlers:
    """What operators do with mitras."""

    def __init__(self, *, store: Store, phones: Phones, ending: Ending) -> None:
        self._store = store
        self._phones = phones
        self._ending = ending

    async def list_mitras(self, *, after: UUID | None, limit: int) -> list[Mitra]:
        """Return mitras, newest first, older than `after`."""
        return await self._store.run(lambda unit: unit.mitras_after(after, limit))

    async def create(
        self, *, phone: str, name: str, capacity: int, actor: Actor, origin: Origin
    ) -> Mitra:
        """Make a mitra; PhoneTaken if there is one with this number."""
        number = self._phones.normalise(phone)

        async def work(unit: Unit) -> Mitra | None:
            now = await unit.now()
            mitra = Mitra(new_id(), number, name, is_active=True, version=1, created_at=now)
            if not await unit.insert_mitra(mitra, created_by=actor.user_id):
                return None
            await unit.append(
                MitraCreated(mitra_id=mitra.mitra_id, version=1, capacity=capacity, at=now)
            )
            await unit.audit(_entry("mitra_created", mitra, actor, origin, {"capacity": capacity}))
            return mitra

        made = await self._store.run(work)
        if made is None:
            raise errors.PhoneTaken
        log.info("mitra_created", mitra_id=made.mitra_id, by=actor.user_id)
        return made

    async def switch(
        self,
        mitra_id: UUID,
        *,
        is_active: bool,
        reason: str | None,
        actor: Actor,
        origin: Origin,
    ) -> Mitra:
        """Switch a mitra off, ending her logins in the same transaction, or on again.

        Doing it twice changes nothing and says nothing.
        """

        async def work(unit: Unit) -> Mitra | None:
            now = await unit.now()
            # Her row is locked from here on: no sign-in can slip in between.
            switched = await unit.switch_mitra(
                mitra_id, is_active=is_active, reason=reason, now=now
            )
            if switched is None:
                return await unit.mitra(mitra_id)
            version = switched.version
            if is_active:
                await unit.append(MitraReactivated(mitra_id=mitra_id, version=version, at=now))
                action, ended = "mitra_reactivated", 0
            else:
                await unit.append(
                    MitraDeactivated(mitra_id=mitra_id, version=version, reason=reason, at=now)
                )
                action, ended = "mitra_deactivated", await self._end_all(unit, mitra_id)
            detail = {"version": version, "reason": reason, "logins_ended": ended}
            await unit.audit(_entry(action, switched, actor, origin, detail))
            return switched

        mitra = await self._store.run(work)
        if mitra is None:
            raise errors.MitraNotFound
        log.info("mitra_switched", mitra_id=mitra_id, is_active=mitra.is_active, by=actor.user_id)
        return mitra

    async def _end_all(self, unit: Unit, mitra_id: UUID) -> int:
        logins = await unit.active_logins("mitra", mitra_id, await unit.now())
        ended = await self._ending.end(
            unit, [login.login_id for login in logins], reason="deactivated"
        )
        return len(ended)

    async def end_logins(self, mitra_id: UUID, *, actor: Actor, origin: Origin) -> int:
        """End all logins of a mitra without switching her off; returns how many."""

        async def work(unit: Unit) -> int | None:
            mitra = await unit.mitra(mitra_id)
            if mitra is None:
                return None
            logins = await unit.active_logins("mitra", mitra_id, await unit.now())
            ids = [login.login_id for login in logins]
            ended = await self._ending.end(unit, ids, reason="operator")
            detail = {"logins_ended": len(ended)}
            await unit.audit(_entry("mitra_logins_ended", mitra, actor, origin, detail))
            return len(ended)

        count = await self._store.run(work)
        if count is None:
            raise errors.MitraNotFound
        return count


def _entry(
    action: str, mitra: Mitra, actor: Actor, origin: Origin, detail: Mapping[str, object]
) -> Entry:
    return Entry(
        action=action,
        book="control",
        actor_role=actor.role,
        actor_id=actor.user_id,
        subject_id=mitra.mitra_id,
        login_id=actor.login_id,
        phone_masked=mask_phone(mitra.phone),
        origin=origin,
        detail=detail,
    )
