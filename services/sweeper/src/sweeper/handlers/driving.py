"""Keeps this replica's fair share of leases and drives each held shard once per slot."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from common.clock import Clock
from common.db import Unavailable
from sweeper.domain import Asked, Lease, Ledger, Plan, Shard, Swept, Turn, fair_share, surplus
from sweeper.errors import LeaseLost
from sweeper.handlers.sweeps import Sweep
from sweeper.ports import Leases, Meter, Runs

log = structlog.get_logger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None], str], None]


@dataclass
class _Held:
    lease: Lease
    sure_until: float  # on our own monotonic clock, counted from before the renewal was sent
    next_at: float
    busy: bool = False


class Driver:
    """One replica's part of the sweeping.

    `keep` renews, takes and gives back leases; `drive` claims the slots that have come and starts
    their passes. Both talk to Postgres in single statements: a frozen replica holds no lock.
    """

    def __init__(
        self,
        *,
        holder: str,
        plan: Plan,
        sweeps: Mapping[str, Sweep],
        leases: Leases,
        runs: Runs,
        meter: Meter,
        clock: Clock,
        spawn: Spawn,
        lease_seconds: float,
        report_seconds: float,
    ) -> None:
        self._holder = holder
        self._plan = plan
        self._sweeps = sweeps
        self._leases = leases
        self._runs = runs
        self._meter = meter
        self._clock = clock
        self._spawn = spawn
        self._lease_seconds = lease_seconds
        self._report_seconds = report_seconds
        self._held: dict[Shard, _Held] = {}
        self._ledgers: dict[Lease, Ledger] = {}
        self._kept_at = clock.monotonic()
        self._stopping = False

    def holds(self) -> frozenset[Lease]:
        """Return the leases this replica is sure of right now."""
        now = self._clock.monotonic()
        return frozenset(one.lease for one in self._held.values() if one.sure_until > now)

    def is_current(self) -> bool:
        """Whether the leases were looked after within the life of one."""
        return self._clock.monotonic() - self._kept_at <= self._lease_seconds

    async def keep(self) -> None:
        """Renew what is ours, give back what is too much, take what is free."""
        if self._stopping:
            return
        asked_at = self._clock.monotonic()
        alive = await self._leases.enlist(self._holder, seconds=self._lease_seconds)
        share = fair_share(len(self._plan.all()), alive)
        await self._renew(asked_at)
        await self._give_back(share)
        await self._take(share)
        self._kept_at = asked_at
        self._meter.held(len(self.holds()))

    async def _renew(self, asked_at: float) -> None:
        mine = [one.lease for one in self._held.values()]
        kept = await self._leases.renew(self._holder, mine, seconds=self._lease_seconds)
        for lease in mine:
            if lease in kept:
                self._held[lease.shard].sure_until = asked_at + self._lease_seconds
            else:
                self._drop(lease)

    async def _give_back(self, share: int) -> None:
        busy = {shard for shard, one in self._held.items() if one.busy}
        for shard in surplus(self._held, share=share, busy=busy):
            lease = self._held.pop(shard).lease
            self._ledgers.pop(lease, None)
            self._meter.gone(shard.sweep)
            await self._leases.release(self._holder, [lease])

    async def _take(self, share: int) -> None:
        wanted = share - len(self._held)
        if wanted <= 0:
            return
        asked_at = self._clock.monotonic()
        free = [shard for shard in self._plan.all() if shard not in self._held]
        taken = await self._leases.take(
            self._holder, free, seconds=self._lease_seconds, wanted=wanted
        )
        for lease in taken:
            log.info(
                "lease_taken", sweep=lease.shard.sweep, shard=lease.shard.number, fence=lease.fence
            )
            self._held[lease.shard] = _Held(
                lease=lease, sure_until=asked_at + self._lease_seconds, next_at=asked_at
            )

    def _drop(self, lease: Lease) -> None:
        self._held.pop(lease.shard, None)
        self._ledgers.pop(lease, None)
        self._meter.gone(lease.shard.sweep)
        log.warning(
            "lease_lost", sweep=lease.shard.sweep, shard=lease.shard.number, fence=lease.fence
        )

    async def drive(self) -> float:
        """Claim the slots that have come and start their passes; returns seconds until the next."""
        now = self._clock.monotonic()
        ready = [
            one
            for one in self._held.values()
            if one.next_at <= now and not one.busy and one.sure_until > now
        ]
        if ready and not self._stopping:
            cadences = {one.lease: self._plan.cadences[one.lease.shard.sweep] for one in ready}
            for asked in await self._leases.fire(self._holder, cadences):
                self._heed(asked)
        return self._until_next()

    def _until_next(self) -> float:
        now = self._clock.monotonic()
        waits = [one.next_at - now for one in self._held.values() if not one.busy]
        return min(max(min(waits, default=0.2), 0.02), 0.2)

    def _heed(self, asked: Asked) -> None:
        held = self._held.get(asked.lease.shard)
        if held is None or held.lease != asked.lease:
            return
        held.next_at = self._clock.monotonic() + asked.next_in
        if asked.turn is not None:
            held.busy = True
            shard = asked.lease.shard
            self._spawn(self._pass(asked.turn, held), f"sweep {shard.sweep}.{shard.number}")

    async def _pass(self, turn: Turn, held: _Held) -> None:
        began = self._clock.monotonic()
        sweep = turn.shard.sweep
        try:
            swept = await self._sweeps[sweep](turn, lambda: self._is_mine(turn.lease))
            self._meter.swept(sweep, swept, seconds=self._clock.monotonic() - began)
        except LeaseLost:
            swept = Swept.nothing("lease lost")
        except Exception as error:  # one failed pass must not end the others
            self._meter.failed(sweep)
            log.debug("sweep_failed", sweep=sweep, exc_info=error)
            swept = Swept.nothing(f"failed: {type(error).__name__}")
        finally:
            held.busy = False
        await self._report(turn, swept, took_ms=round((self._clock.monotonic() - began) * 1000))

    def _is_mine(self, lease: Lease) -> bool:
        return lease in self.holds()

    async def _report(self, turn: Turn, swept: Swept, *, took_ms: int) -> None:
        ledger = self._ledgers.setdefault(turn.lease, Ledger())
        told = ledger.note(swept, now=self._clock.monotonic(), every=self._report_seconds)
        if told is None:
            return
        say = log.info if told.skipped is None else log.warning
        say(
            "sweep_finished",
            sweep=turn.shard.sweep,
            shard=turn.shard.number,
            slot=turn.slot,
            fence=turn.lease.fence,
            count=told.count,
            skipped=told.skipped,
            took_ms=took_ms,
        )
        try:
            await self._runs.record(turn, told, holder=self._holder, took_ms=took_ms)
        except Unavailable as away:
            log.warning("run_not_recorded", sweep=turn.shard.sweep, detail=str(away))

    async def stop(self) -> None:
        """Give everything back so that others go on at once."""
        self._stopping = True
        leases = [one.lease for one in self._held.values()]
        self._held.clear()
        await self._leases.release(self._holder, leases)
        await self._leases.leave(self._holder)
