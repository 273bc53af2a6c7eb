"""What is read of the mirror in pages: by the sweeps, the flush and the operators' numbers."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeVar
from uuid import UUID

from mirror import scripts
from mirror.asking import Asking
from mirror.values import BeatCursor, BeatPage, StaleMitra, StalePage

T = TypeVar("T")

_ASK: Final = 1000  # ids per command
_NONE: Final = (None, b"guarded")  # a mitra without a load; the guard


class Walks(Asking):
    """Reads long lists in bounded steps. All methods raise MirrorUnavailable."""

    async def stale(self, limit: int = 500) -> StalePage:
        """Return mitras whose last beat is older than the auto-offline limit, oldest first."""
        _, now, silence_ended, newest, online, fresh, found, versions = await self._run(
            scripts.STALE, self._limits.fresh_ms, self._limits.auto_offline_ms, limit
        )
        pairs = zip(found[::2], found[1::2], versions, strict=True)
        return StalePage(
            now_ms=now,
            grace_until_ms=self._grace(silence_ended, newest, now),
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
        _, now, found = await self._run(scripts.BEATS, cursor.at_ms, cursor.skip, limit)
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
        for part in parts(mitra_ids, _ASK):
            _, scores = await self._run(scripts.SCORES, *(str(mitra_id) for mitra_id in part))
            for mitra_id, score in zip(part, scores, strict=True):
                if score is not None:
                    answer[mitra_id] = int(score)
        return answer

    async def loads(self) -> dict[int, int]:
        """Return how many of those online hold 0, 1, 2 … slots; grows with how many there are."""
        found: Counter[int] = Counter()
        start = 0
        while True:
            _, loads = await self._run(scripts.LOADS, start, start + _ASK - 1)
            found.update(load_of(load)[0] for load in loads if load not in _NONE)
            if len(loads) < _ASK:
                return dict(sorted(found.items()))
            start += _ASK

    def _grace(self, silence_ended: bytes | None, newest: Sequence[bytes], now: int) -> int:
        assert self.sentinel.seed is not None
        ended = 0 if silence_ended is None else int(silence_ended)
        silent_since = int(newest[1]) + self._limits.gap_ms if len(newest) == 4 else 0
        started = silent_since if now > silent_since else 0
        return max(self.sentinel.seed.since_ms, ended, started) + self._limits.grace_ms


def load_of(stored: bytes) -> tuple[int, int]:
    """Read slots held and capacity."""
    load, _, capacity = stored.partition(b"/")
    return int(load), int(capacity)


def parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Cut a sequence into parts of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]
