"""What is read of the mirror in pages: by the sweeps, the flush and the operators' numbers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as QuickUUID  # noqa: N811 - a uuid.UUID, read in C

from mirror import keys, scripts
from mirror.asking import Asking
from mirror.values import BeatCursor, BeatPage, StaleMitra, StalePage

T = TypeVar("T")

_ASK: Final = 1000  # ids per command
_STEP: Final = 500  # rows per command: none may hold Valkey for 5 ms
_GRACES: Final = 3  # so many without a break are no outage: she missed some ten beats of hers
_NONE: Final = (None, b"guarded")  # a mitra without a load; the guard


class Walks(Asking):
    """Reads long lists in bounded steps. All methods raise MirrorUnavailable."""

    async def stale(self, limit: int = 500) -> StalePage:
        """Return mitras whose last beat is older than the auto-offline limit, oldest first.

        Who is deactivated counts as never heard (0), and comes before all others.
        """
        mitras: list[StaleMitra] = []
        seen = 0
        while True:
            many = min(_STEP, limit - seen)
            _, now, ended, doubted, newest, online, fresh, found, versions = await self._run(
                scripts.STALE, self._limits.fresh_ms, self._limits.auto_offline_ms, seen, many
            )
            mitras += _stale(found, versions)
            seen += len(versions)
            if len(versions) < many or seen >= limit:
                break
        silent_since = int(newest) + self._limits.gap_ms if newest else now
        return StalePage(
            now_ms=now,
            grace_until_ms=self._grace(ended, silent_since, now),
            gone_before_ms=self._gone(doubted, silent_since, now),
            online=online,
            fresh=fresh,
            mitras=tuple(mitras),
        )

    async def beats(self, cursor: BeatCursor, limit: int = 5000) -> BeatPage:
        """Return beats from `cursor` on, in the order of time, and where to go on."""
        beats: list[tuple[UUID, int]] = []
        while True:
            many = min(_STEP, limit - len(beats))
            _, now, found = await self._run(scripts.BEATS, cursor.at_ms, cursor.skip, many)
            step = _beats(found)
            beats += step
            cursor = _after(cursor, step)
            if len(step) < many or len(beats) >= limit:
                return BeatPage(now, beats, cursor, is_last=len(beats) < limit)

    async def last_beats(self, mitra_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return the last beat (ms on Valkey's clock) of those of these mitras who are online."""
        answer: dict[UUID, int] = {}
        for part in parts(mitra_ids, _ASK):
            _, scores = await self._run(scripts.SCORES, *(str(mitra_id) for mitra_id in part))
            for mitra_id, score in zip(part, scores, strict=True):
                if score is not None:
                    answer[mitra_id] = beat_of(score)
        return answer

    async def loads(self) -> dict[int, int]:
        """Return how many of those online hold 0, 1, 2 … slots; grows with how many there are."""
        found: Counter[int] = Counter()
        start = 0
        while True:
            _, loads = await self._run(scripts.LOADS, start, start + _STEP - 1)
            found.update(load_of(load)[0] for load in loads if load not in _NONE)
            if len(loads) < _STEP:
                return dict(sorted(found.items()))
            start += _STEP

    def _grace(self, silence_ended: bytes | None, silent_since: int, now: int) -> int:
        assert self.sentinel.seed is not None
        ended = 0 if silence_ended is None else int(silence_ended)
        started = silent_since if now > silent_since else 0
        return max(self.sentinel.seed.since_ms, ended, started) + self._limits.grace_ms

    def _gone(self, doubted: bytes | None, silent_since: int, now: int) -> int:
        """Return before when a beat must lie so that no grace protects her who sent it.

        A few who beat too rarely begin grace after grace; in each of them everybody else was heard.
        """
        assert self.sentinel.seed is not None
        grace = self._limits.grace_ms
        if doubted is None or now > silent_since or now < self.sentinel.seed.since_ms + grace:
            return 0
        return int(doubted) if now >= int(doubted) + _GRACES * grace else 0


def _stale(found: Sequence[bytes], versions: Sequence[bytes | None]) -> Iterator[StaleMitra]:
    for id_, score, version in zip(found[::2], found[1::2], versions, strict=True):
        if version is not None:
            status_version = int(version.partition(b".")[2])
            yield StaleMitra(QuickUUID(id_.decode()), status_version, beat_of(score))


def _beats(found: Sequence[bytes]) -> list[tuple[UUID, int]]:
    return [
        (QuickUUID(id_.decode()), int(score))
        for id_, score in zip(found[::2], found[1::2], strict=True)
    ]


def _after(cursor: BeatCursor, beats: Sequence[tuple[UUID, int]]) -> BeatCursor:
    last = beats[-1][1] if beats else cursor.at_ms
    at_last = sum(1 for _, at in beats if at == last)
    return BeatCursor(last, at_last + (cursor.skip if last == cursor.at_ms else 0))


def beat_of(score: bytes) -> int:
    """Read when she beat last; 0 for who never did or is deactivated."""
    at = int(score)
    return 0 if at == keys.BARRED else at


def load_of(stored: bytes) -> tuple[int, int]:
    """Read slots held and capacity."""
    load, _, capacity = stored.partition(b"/")
    return int(load), int(capacity)


def parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Cut a sequence into parts of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]
