"""Rerouting: a session whose mitra is absent goes to another, without a second payment."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from chat.domain import payments, sessions
from chat.domain.facts import Held
from chat.domain.values import Limits
from chat.handlers import holding
from chat.ports import Store, Work

NO_SHOW = "no_show"
LOST = "lost"
MITRA_DEACTIVATED = "mitra_deactivated"


class _NothingToReroute(Exception):
    """The guard failed after the request was reopened: the transaction must not commit."""


class Rerouting:
    """Takes a session from a mitra who has not replied; the request searches again."""

    def __init__(self, *, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits

    async def reroute_absent(self, session_id: UUID) -> bool:
        """Reroute if the mitra never showed up or was lost; say whether it was done."""

        async def work(tx: Work) -> bool:
            return await self._reroute(tx, session_id, deactivated=False)

        return await self._run(work)

    async def reroute_deactivated(self, session_id: UUID) -> bool:
        """Reroute because the mitra was switched off, if she still is; say whether it was done."""

        async def work(tx: Work) -> bool:
            return await self._reroute(tx, session_id, deactivated=True)

        return await self._run(work)

    async def _run(self, work: Callable[[Work], Awaitable[bool]]) -> bool:
        try:
            return await self._store.run(work)
        except _NothingToReroute:
            return False

    async def _reroute(self, tx: Work, session_id: UUID, *, deactivated: bool) -> bool:
        known = await tx.find_session(session_id)
        if known is None or known.state != "active" or known.first_reply_at is not None:
            return False
        # The request comes first in the lock order; whether it may be reopened is known only after
        # the session is held, so a wrong guess rolls everything back.
        verdict = await tx.reopen_request(known.request_id, known.mitra_id)
        held = await tx.hold(session_id)
        reason = None if held is None else await self._reason(tx, held, deactivated=deactivated)
        if held is None or reason is None:
            raise _NothingToReroute
        held = await holding.settle_extension(tx, held, "rerouted")
        await self._owe_what_does_not_travel(tx, held, reopened=verdict == "reopened")
        after = sessions.reroute(held.session, held.now, reason)
        await tx.save_session(after, say="session_rerouted", reason=reason)
        return True

    async def _reason(self, tx: Work, held: Held, *, deactivated: bool) -> str | None:
        session = held.session
        if session.state != "active" or session.first_reply_at is not None:
            return None
        if deactivated:
            return None if await tx.is_active_mitra(session.mitra_id) else MITRA_DEACTIVATED
        if not sessions.is_absent(session, held.now):
            return None
        return NO_SHOW if sessions.has_passed(session.show_up_by, held.now) else LOST

    async def _owe_what_does_not_travel(self, tx: Work, held: Held, *, reopened: bool) -> None:
        """Refund extensions, whose time the next session does not have, and all if none comes."""
        for part in await tx.paid_parts(held.session):
            if part.payment.extension_id is not None or not reopened:
                owed = payments.owe(part.payment, part.payment.amount_idr, "rerouted", held.now)
                await tx.save_payment(owed)
