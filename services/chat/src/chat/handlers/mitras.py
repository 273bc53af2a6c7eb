"""Mitras as chat knows them: how many sessions they may hold, whether they are there."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from chat.domain import payments, sessions
from chat.domain.facts import Held
from chat.domain.values import Limits
from chat.handlers import holding
from chat.handlers.rerouting import MITRA_DEACTIVATED, Rerouting
from chat.handlers.telling import Teller
from chat.ports import Beats, Store, Work
from common.log import get_logger

log = get_logger("mitras")

CREATED_CONSUMER = "chat_mitra_created"


class Mitras:
    """What is heard of mitras: created, deactivated, here, gone."""

    def __init__(
        self, *, store: Store, rerouting: Rerouting, teller: Teller, limits: Limits
    ) -> None:
        self._store = store
        self._rerouting = rerouting
        self._teller = teller
        self._limits = limits

    async def created(self, event_id: UUID, mitra_id: UUID, capacity: int) -> None:
        """Give a new mitra her load row; a capacity that an operator chose since then stays."""

        async def work(tx: Work) -> None:
            await tx.set_capacity(mitra_id, capacity, "auth")

        await self._store.once(CREATED_CONSUMER, event_id, work)

    async def deactivated(self, mitra_id: UUID) -> None:
        """Free her customers: rerouted before her first reply, closed and refunded after it."""
        # Under her lock: a session that is being opened just now is seen, or sees her inactive.
        living = await self._store.run(lambda tx: tx.living_sessions(mitra_id))
        for session_id in living:
            if await self._rerouting.reroute_deactivated(session_id):
                await self._teller.session_rerouted(session_id)
            elif await self._store.run(partial(self._let_go, session_id=session_id)):
                await self._teller.session_changed(session_id)

    async def _let_go(self, tx: Work, *, session_id: UUID) -> bool:
        held = await holding.hold(tx, session_id, self._limits)
        if await tx.is_active_mitra(held.session.mitra_id):
            return False
        if held.session.state == "pending_payment":
            await holding.cancel(tx, held, MITRA_DEACTIVATED)
            return True
        if held.session.state not in ("active", "expired"):
            return False
        await owe_unused(tx, held, MITRA_DEACTIVATED)
        await holding.close(tx, held, MITRA_DEACTIVATED, self._limits)
        return True


async def owe_unused(tx: Work, held: Held, reason: str) -> int:
    """Owe the customer the paid time that is left; return how many rupiah."""
    unused = sessions.unused(held.session, held.now)
    total = 0
    for payment, amount in payments.unused_refunds(await tx.paid_parts(held.session), unused):
        await tx.save_payment(payments.owe(payment, amount, reason, held.now))
        total += amount
    return total


class Attendance:
    """Signs of life of mitras: gathered in memory, written down together.

    Only sessions without a first reply care, so this costs one small statement a moment, however
    many mitras send however many frames.
    """

    def __init__(self, *, store: Store, beats: Beats, limits: Limits) -> None:
        self._store = store
        self._beats = beats
        self._limits = limits
        self._seen: set[UUID] = set()

    def saw(self, mitra_id: UUID) -> None:
        """Note a frame or a call of hers."""
        self._seen.add(mitra_id)

    async def beat(self, mitra_id: UUID) -> bool | None:
        """Pass her heartbeat on to the mirror; say whether she is online, None if unknown."""
        self.saw(mitra_id)
        return await self._beats.beat(mitra_id)

    def beat_soon(self, mitra_id: UUID, tell: Callable[[bool | None], None]) -> None:
        """Do the same without a task; tells when it is written."""
        self.saw(mitra_id)
        self._beats.beat_soon(mitra_id, tell)

    async def left(self, mitra_id: UUID) -> None:
        """Note that her last socket here is gone."""
        await self.write_down()
        await self._store.mitra_left(mitra_id, self._limits.lost)

    async def write_down(self) -> None:
        """Write the signs of life of this moment."""
        if not self._seen:
            return
        seen, self._seen = self._seen, set()
        try:
            await self._store.mitras_alive(seen, self._limits.silence)
        except Exception:
            self._seen |= seen
            raise
