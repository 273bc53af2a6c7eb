"""The mirror itself: questions, facts and beats, each in one round trip."""

import random
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, TypeVar
from uuid import UUID

from common.clock import Clock
from mirror import facts as packing
from mirror import keys, scripts
from mirror.errors import MirrorUnavailable
from mirror.link import Link, Server
from mirror.outcomes import Applied
from mirror.scripts import Script
from mirror.sentinel import Sentinel
from mirror.values import (
    BeatCursor,
    BeatOutcome,
    BeatPage,
    Candidate,
    Counts,
    Fact,
    Limits,
    MitraStatus,
    Reachability,
    Seed,
    StaleMitra,
    StalePage,
)
from mirror.wire import Argument, Reply

T = TypeVar("T")

_SLICE: Final = 200  # mitras per command that writes: no command may hold Valkey for 5 ms
_ASK: Final = 1000  # ids per command that reads
BEAT_BATCH: Final = 1000
_OUTCOMES: Final = {
    ord("0"): BeatOutcome.OFFLINE,
    ord("1"): BeatOutcome.RECORDED,
    ord("2"): BeatOutcome.DEACTIVATED,
}
_SNAPSHOT_LIFE_MS: Final = 10_000


class Mirror:
    """Everything in Valkey that says who can take work. All methods raise MirrorUnavailable."""

    def __init__(self, link: Link, *, clock: Clock, limits: Limits) -> None:
        self._link = link
        self._clock = clock
        self._limits = limits
        self.sentinel = Sentinel()

    # --- questions ---------------------------------------------------------------------------

    async def find_available(self, limit: int, exclude: Collection[UUID] = ()) -> list[Candidate]:
        """Return up to `limit` available mitras from a random place on, none of `exclude`."""
        if limit <= 0:
            return []
        left_out = [str(mitra_id) for mitra_id in exclude]
        _, ids, loads = await self._ask(
            scripts.FIND, self._limits.fresh_ms, limit, random.random(), *left_out
        )
        pairs = zip(ids, loads, strict=True)
        return [Candidate(UUID(id_.decode()), *_load(load)) for id_, load in pairs]

    async def is_reachable(self, mitra_ids: Collection[UUID]) -> dict[UUID, Reachability]:
        """Return for each of these mitras whether she is reachable and available."""
        answer: dict[UUID, Reachability] = {}
        for part in _parts(list(mitra_ids), _ASK):
            names = [str(mitra_id) for mitra_id in part]
            _, digits = await self._ask(scripts.REACH, self._limits.fresh_ms, *names)
            for mitra_id, digit in zip(part, digits.decode(), strict=True):
                answer[mitra_id] = Reachability(reachable=digit != "0", available=digit == "2")
        return answer

    async def counts(self) -> Counts:
        """Return how many mitras are online, reachable and available."""
        _, online, reachable, available = await self._ask(scripts.COUNTS, self._limits.fresh_ms)
        return Counts(online, reachable, available, source="mirror")

    async def status(self, mitra_id: UUID) -> MitraStatus | None:
        """Return what is known of one mitra; None when a fact of hers is missing."""
        _, now, score, barred, load, known = await self._ask(scripts.STATUS, str(mitra_id))
        if load is None or None in known:
            return None
        beat = int(score) if score is not None and int(score) > 0 else None
        held, capacity = _load(load)
        return MitraStatus(
            mitra_id=mitra_id,
            is_online=score is not None,
            is_active=not barred,
            last_beat_ms=beat,
            beat_age_ms=None if beat is None else max(0, now - beat),
            load=held,
            capacity=capacity,
            source="mirror",
        )

    async def stale(self, limit: int = 500) -> StalePage:
        """Return mitras whose last beat is older than the auto-offline limit, oldest first."""
        _, now, intake, online, fresh, found, versions = await self._ask(
            scripts.STALE, self._limits.fresh_ms, self._limits.auto_offline_ms, limit
        )
        pairs = zip(found[::2], found[1::2], versions, strict=True)
        return StalePage(
            now_ms=now,
            grace_until_ms=self._grace(intake, now),
            online=online,
            fresh=fresh,
            mitras=tuple(
                StaleMitra(UUID(id_.decode()), int(version.partition(b".")[2]), int(score))
                for id_, score, version in pairs
                if version is not None
            ),
        )

    async def beats(self, cursor: BeatCursor, limit: int = 5000) -> BeatPage:
        """Return beats from `cursor` on, in the order of time, and where to go on."""
        _, now, found = await self._ask(scripts.BEATS, cursor.at_ms, cursor.skip, limit)
        beats = [
            (UUID(id_.decode()), int(score))
            for id_, score in zip(found[::2], found[1::2], strict=True)
        ]
        last = beats[-1][1] if beats else cursor.at_ms
        at_last = sum(1 for _, at in beats if at == last)
        skip = at_last + (cursor.skip if last == cursor.at_ms else 0)
        return BeatPage(now, beats, BeatCursor(last, skip), is_last=len(beats) < limit)

    async def last_beats(self, mitra_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return the last beat (ms on Valkey's clock) of those of these mitras who are online."""
        answer: dict[UUID, int] = {}
        for part in _parts(mitra_ids, _ASK):
            _, scores = await self._ask(scripts.SCORES, *(str(mitra_id) for mitra_id in part))
            for mitra_id, score in zip(part, scores, strict=True):
                if score is not None:
                    answer[mitra_id] = int(score)
        return answer

    async def loads(self) -> dict[int, int]:
        """Return how many of those online hold 0, 1, 2 … slots; grows with how many there are."""
        found: Counter[int] = Counter()
        start = 0
        while True:
            _, loads = await self._ask(scripts.LOADS, start, start + _ASK - 1)
            found.update(_load(load)[0] for load in loads if load is not None)
            if len(loads) < _ASK:
                return dict(sorted(found.items()))
            start += _ASK

    async def seed(self) -> Seed:
        """Return the sentinel; raise when this is not a mirror."""
        await self._ask(scripts.COUNTS, self._limits.fresh_ms)
        assert self.sentinel.seed is not None
        return self.sentinel.seed

    # --- facts and beats ---------------------------------------------------------------------

    async def record(self, beats: Sequence[tuple[UUID, float]]) -> list[BeatOutcome]:
        """Store beats, each with the moment of our monotonic clock at which it was received."""
        if self._link.server is None:
            await self._link.learn_clock()
        pairs: list[Argument] = []
        newest = 0
        for mitra_id, received in beats:
            at = self._link.now_ms(received)
            if at is None:
                raise MirrorUnavailable("the connection broke")
            newest = max(newest, at)
            pairs += (at, str(mitra_id))
        _, digits = await self._ask(scripts.BEAT, self._limits.gap_ms, newest, *pairs)
        return [_OUTCOMES[digit] for digit in digits]

    async def apply(self, facts: Sequence[Fact], *, read_at: float | None = None) -> Applied:
        """Write facts, those of one mitra together; an older one never wins.

        Ages of beats count back from `read_at`, a moment of our monotonic clock before they were
        read (default: now).
        """
        read_at = self._clock.monotonic() if read_at is None else read_at
        server = self._link.server or await self._link.learn_clock()
        now = read_at * 1000 + server.offset_ms
        total = Applied()
        for part in _parts(facts, _SLICE * 3):
            reply, _ = await self._link.run(scripts.APPLY, packing.arguments(part, now))
            total += packing.applied(part, *reply)
        return total

    async def tell_snapshot(self, body: bytes) -> None:
        """Keep the beacon as last told, for at most 10 s."""
        await self._link.learn_clock()
        now = self._link.now_ms(self._clock.monotonic())
        if now is None:
            raise MirrorUnavailable("the connection broke")
        await self._link.run(scripts.SNAPSHOT, (now, body, _SNAPSHOT_LIFE_MS))

    async def snapshot(self) -> bytes | None:
        """Return the beacon as last told, None when that is over 10 s ago."""
        kept: bytes | None = await self._link.command(b"GET", keys.SNAPSHOT)
        return None if kept is None else kept.partition(b" ")[2]

    async def learn_clock(self) -> Server:
        """Learn Valkey's clock anew; connects when there is no connection."""
        return await self._link.learn_clock()

    # --- inside ------------------------------------------------------------------------------

    async def _ask(self, script: Script, *args: Argument) -> Sequence[Reply]:
        answer, server = await self._link.run(script, args)
        if answer is None:
            raise MirrorUnavailable("it was never seeded", state="seeding")
        self.sentinel.check(answer[0], run_id=server.run_id)
        return answer  # type: ignore[no-any-return]  # a list by the script's contract

    def _grace(self, intake: bytes | None, now: int) -> int:
        assert self.sentinel.seed is not None
        since = self.sentinel.seed.since_ms
        last, ended = (int(part) for part in intake.split()) if intake else (since, since)
        silent_since = last + self._limits.gap_ms
        started = silent_since if now > silent_since else 0
        return max(since, ended, started) + self._limits.grace_ms


def _load(stored: bytes) -> tuple[int, int]:
    load, _, capacity = stored.partition(b"/")
    return int(load), int(capacity)


def _parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
