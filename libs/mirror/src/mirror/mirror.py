"""The mirror itself: questions, facts and beats, each in one round trip."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as QuickUUID  # noqa: N811 - a uuid.UUID, read in C
from libvalkey import pack_command

from common.clock import Clock
from mirror import facts as packing
from mirror import keys, scripts
from mirror.arc import Arc
from mirror.asking import LAST_TWO, TRIES, newest_of, whole
from mirror.errors import MirrorUnavailable
from mirror.link import Link, Server
from mirror.outcomes import Applied
from mirror.values import (
    BeatOutcome,
    Counts,
    Fact,
    Histogram,
    Limits,
    MitraStatus,
    Reachability,
    Seed,
)
from mirror.walks import Walks, beat_of, load_of, parts
from mirror.wire import Argument

_SLICE: Final = 99  # facts per command (three a mitra): none may hold Valkey for 5 ms
_ASK: Final = 1000  # ids per command that reads
_ZERO: Final = ord("0")
BEAT_BATCH: Final = 500
_OUTCOMES: Final = (BeatOutcome.OFFLINE, BeatOutcome.RECORDED, BeatOutcome.DEACTIVATED)
_SNAPSHOT_LIFE_SECONDS: Final = 10.0

_GUARD_OF_AVAILABLE: Final = pack_command(("ZSCORE", keys.AVAILABLE, keys.GUARD))
_GUARDS: Final = (
    _GUARD_OF_AVAILABLE,
    pack_command(("HSTRLEN", keys.LOAD, keys.GUARD)),
    pack_command(("HSTRLEN", keys.VERSIONS, keys.GUARD)),
    pack_command(("SISMEMBER", keys.DEACTIVATED, keys.GUARD)),
)
_SEED: Final = pack_command(("GET", keys.SEED))
_HOW_MANY_ONLINE: Final = pack_command(("ZCARD", keys.ONLINE))


class Mirror(Walks):
    """Everything in Valkey that says who can take work. All methods raise MirrorUnavailable."""

    def __init__(self, link: Link, *, clock: Clock, limits: Limits) -> None:
        super().__init__(link, clock=clock, limits=limits)
        self._fresh = 0
        """How many of the kept answer were fresh when we last looked."""
        self._heard = 0
        """The newest beat that Valkey had heard when we last sent it some."""
        self._silence = (limits.deaf_ms, limits.grace_ms)

    # --- questions ---------------------------------------------------------------------------

    async def find_available(self, limit: int, exclude: Collection[UUID] = ()) -> list[UUID]:
        """Return up to `limit` available mitras from a random place on, none of `exclude`."""
        if limit <= 0:
            return []
        left_out = {str(mitra_id).encode() for mitra_id in exclude}
        found = await self._arc(limit + len(left_out))
        if left_out:
            found = [one for one in found if one not in left_out]
        return list(map(QuickUUID, map(bytes.decode, found[:limit])))

    async def is_reachable(self, mitra_ids: Collection[UUID]) -> dict[UUID, Reachability]:
        """Return for each of these mitras whether she is reachable and available."""
        answer: dict[UUID, Reachability] = {}
        for part in parts(list(mitra_ids), _ASK):
            answer.update(await self._reachable(part))
        return answer

    async def counts(self) -> Counts:
        """Return how many mitras are online, reachable and available."""
        for _ in range(TRIES):
            server = self._link.server or await self._link.learn_clock()
            floor = self._floor(server)
            (online, reachable, available, guard, *_), now = await self._read(
                _HOW_MANY_ONLINE,
                _count(keys.ONLINE, floor, f"({keys.BARRED}"),
                _count(keys.AVAILABLE, floor),
                _GUARD_OF_AVAILABLE,
            )
            whole((guard,))
            if self._holds(floor, now):
                return Counts(online - 1, reachable, available, source="mirror")
            await self._link.learn_clock()
        raise MirrorUnavailable("its clock jumps")

    async def histogram(self) -> Histogram:
        """Return how many of those online hold 0, 1, 2 … slots."""
        return Histogram(await self.loads(), source="mirror")

    async def status(self, mitra_id: UUID) -> MitraStatus | None:
        """Return what is known of one mitra; None when a fact of hers is missing."""
        name = str(mitra_id)
        ((bound, score), (noted, barred), (filled, load), known, *_), now = await self._read(
            pack_command(("ZMSCORE", keys.ONLINE, keys.GUARD, name)),
            pack_command(("SMISMEMBER", keys.DEACTIVATED, keys.GUARD, name)),
            pack_command(("HMGET", keys.LOAD, keys.GUARD, name)),
            pack_command(
                ("HMGET", keys.VERSIONS, keys.GUARD, *(f"{name}:{fact}" for fact in "oal"))
            ),
        )
        whole((bound, noted, filled, known[0]))
        if load is None or None in known:
            return None
        beat = None if score is None else beat_of(score) or None
        held, capacity = load_of(load)
        return MitraStatus(
            mitra_id=mitra_id,
            is_online=score is not None,
            is_active=not barred,
            beat_age_ms=None if beat is None else max(0, now - beat),
            load=held,
            capacity=capacity,
            source="mirror",
        )

    async def seed(self) -> Seed:
        """Return the sentinel; raise when this is not a mirror, or not all of one."""
        replies, _ = await self._read(*_GUARDS)
        whole(replies[: len(_GUARDS)])
        assert self.sentinel.seed is not None
        return self.sentinel.seed

    # --- facts and beats ---------------------------------------------------------------------

    async def record(self, beats: Sequence[tuple[UUID, float]]) -> list[BeatOutcome]:
        """Store beats, each with the moment of our monotonic clock at which it was received."""
        server = self._link.server or await self._link.learn_clock()
        ids = [str(mitra_id) for mitra_id, _ in beats]
        times = [int(received * 1000 + server.offset_ms) for _, received in beats]
        pairs = [part for pair in zip(times, ids, strict=True) for part in pair]
        newest = max(times)
        if newest - self._heard < self._deaf_ms // 2:
            digits = await self._record(ids, pairs)
        else:
            # Where a silence ends, that has to be noted in the same step.
            _, found = await self._run(scripts.BEAT, *self._silence, newest, *pairs)
            digits = [digit - _ZERO for digit in found]
            self._heard = newest if 1 in digits else 0
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
        for part in packing.slices(facts, _SLICE):
            if loads := packing.loads_alone(part):
                reply, _ = await self._link.run(scripts.LOAD, packing.load_arguments(loads))
            else:
                reply, _ = await self._link.run(
                    scripts.APPLY, [*self._silence, *packing.arguments(part, now)]
                )
            total += packing.applied(part, *reply)
        return total

    async def tell_snapshot(self, body: bytes) -> None:
        """Keep the beacon as last told, for at most 10 s."""
        await self._link.learn_clock()
        now = self._link.now_ms(self._clock.monotonic())
        if now is None:
            raise MirrorUnavailable("the connection broke")
        await self._link.run(scripts.SNAPSHOT, (now, body, int(_SNAPSHOT_LIFE_SECONDS * 1000)))

    async def snapshot(self, *, max_age_seconds: float = _SNAPSHOT_LIFE_SECONDS) -> bytes | None:
        """Return the beacon as last told, None when that is longer ago."""
        kept: bytes | None = await self._link.command(b"GET", keys.SNAPSHOT)
        now = self._link.now_ms(self._clock.monotonic())
        if kept is None or now is None:
            return None
        told_at, _, body = kept.partition(b" ")
        return body if now - int(told_at) <= max_age_seconds * 1000 else None

    @property
    def is_there(self) -> bool:
        """Whether Valkey answered when it was asked last."""
        return self._link.server is not None

    async def learn_clock(self) -> Server:
        """Learn Valkey's clock anew; connects when there is no connection."""
        return await self._link.learn_clock()

    async def eviction_policy(self) -> str | None:
        """Return by which policy Valkey may evict keys of ours; None when it does not.

        Policies that are `volatile` spare the mirror, and not the keys of ended logins.
        """
        info: bytes = await self._link.command(b"INFO", b"memory")
        fields = dict(line.split(":", 1) for line in info.decode().split() if ":" in line)
        policy = fields.get("maxmemory_policy", "")
        is_limited = fields.get("maxmemory", "0") != "0"
        return policy if is_limited and policy != "noeviction" else None

    # --- inside ------------------------------------------------------------------------------

    async def _arc(self, wanted: int) -> list[bytes]:
        for last in (False, False, True):
            arc = Arc(wanted, self._fresh)
            server = self._link.server or await self._link.learn_clock()
            floor = self._floor(server)
            # Valkey reads 16 KB at a time and may serve others in between: who leaves just then
            # makes room for a stale one. One of the two counts is of the moment of the arc.
            count, ranges = _count(keys.AVAILABLE, floor), arc.commands()
            replies, now = await self._read(count, *ranges, count, _GUARD_OF_AVAILABLE)
            before, found = replies[0], replies[1 : len(ranges) + 1]
            after, guard = replies[len(ranges) + 1 : len(ranges) + 3]
            whole((guard,))
            if not self._holds(floor, now):
                await self._link.learn_clock()
                continue
            self._fresh = fresh = min(before, after)
            mitras = arc.still_fresh(found, fresh)
            # At last: who is there changes faster than we ask, but these are there.
            if len(mitras) == min(wanted, fresh) or (last and mitras):
                return mitras
        raise MirrorUnavailable("its clock jumps, or all of those who are there change")

    async def _record(self, ids: Sequence[str], pairs: Sequence[Argument]) -> Sequence[int]:
        """Store beats by plain commands; return 0 offline, 1 recorded, 2 deactivated for each.

        XX: no beat brings anyone online. GT: none makes her younger, or moves whoever is barred.
        """
        commands = (
            pack_command(("SMISMEMBER", keys.DEACTIVATED, keys.GUARD, *ids)),
            pack_command(("ZADD", keys.ONLINE, "XX", "GT", "CH", *pairs)),
            pack_command(("ZADD", keys.AVAILABLE, "XX", "GT", *pairs)),
            LAST_TWO,
            _GUARD_OF_AVAILABLE,
            _SEED,
        )
        replies, server = await self._link.ask(b"".join(commands), len(commands))
        (guard, *barred), moved, _, last, kept_guard, raw = replies
        self._is_seeded(server, raw)
        whole((guard, kept_guard))
        # Who is deactivated hides whom we heard last: then the next beats take the longer way.
        heard = newest_of(last)
        self._heard = 0 if heard == keys.BARRED else heard
        if moved == len(ids):
            # Everybody grew younger, so everybody is online: no need to ask for each.
            return [1] * moved
        scores, _ = await self._link.ask(pack_command(("ZMSCORE", keys.ONLINE, *ids)), 0)
        return [
            2 if out else int(score is not None) for out, score in zip(barred, scores, strict=True)
        ]

    async def _reachable(self, mitra_ids: Sequence[UUID]) -> dict[UUID, Reachability]:
        names = (keys.GUARD, *(str(mitra_id) for mitra_id in mitra_ids))
        (online, available, barred, *_), now = await self._read(
            pack_command(("ZMSCORE", keys.ONLINE, *names)),
            pack_command(("ZMSCORE", keys.AVAILABLE, *names)),
            pack_command(("SMISMEMBER", keys.DEACTIVATED, *names)),
        )
        whole((online[0], available[0], barred[0]))
        floor = now - self._limits.fresh_ms
        answer: dict[UUID, Reachability] = {}
        for place, mitra_id in enumerate(mitra_ids, start=1):
            score = online[place]
            there = score is not None and not barred[place] and beat_of(score) > floor
            answer[mitra_id] = Reachability(there, there and available[place] is not None)
        return answer


def _count(key: str, floor: int, below: str = "(+inf") -> bytes:
    packed: bytes = pack_command(("ZCOUNT", key, f"({floor}", below))
    return packed
