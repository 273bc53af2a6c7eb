"""What a run of the state machine knows of beats: none may be younger than sent, none be lost."""

import time
from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from mirror.values import MirrorRow

SILENT_SECONDS = 12.0
"""How long ago somebody beat who comes online: far enough to be told from a beat of now."""
# The reconcile leaves a second alone, and ages travel as long as a busy machine needs.
_SLACK_MS = 5_000


def now_ms() -> float:
    """Return the time of all servers here."""
    return time.time() * 1000


class Heard:
    """When each was last said to be there, and the beats that the mirror has no right to lose."""

    def __init__(self) -> None:
        self._said: dict[UUID, float] = {}
        self._kept: dict[UUID, float] = {}

    def said(self, mitra: UUID, *, seconds_ago: float = 0.0) -> None:
        """Note that somebody said so just now, of a moment that may lie back."""
        self._said[mitra] = max(now_ms() - seconds_ago * 1000, self._said.get(mitra, 0.0))

    def recorded(self, mitra: UUID, since: float) -> None:
        """Note that she was told so, of a beat sent since then."""
        self._kept[mitra] = since

    def may_be_lost(self, *mitras: UUID) -> None:
        """Note that a fact was told of these: if she was offline for a moment, her beat is gone."""
        for mitra in mitras:
            self._kept.pop(mitra, None)

    def all_may_be_lost(self) -> None:
        """Note that beats are gone that no flush had written down."""
        self._kept.clear()

    def wrong(self, scores: Mapping[UUID, float], rows: Iterable[MirrorRow]) -> list[str]:
        """Return whose beat is younger in the mirror than sent, or was lost by both servers."""
        found, now = [], now_ms()
        for row in _alive(rows):
            score = scores.get(row.mitra_id, 0.0)
            known = max(score, _written(row, now))
            if score > self._said[row.mitra_id] + _SLACK_MS:
                found.append(f"{row.mitra_id}: {score - self._said[row.mitra_id]} ms too young")
            if known < self._kept.get(row.mitra_id, 0.0) - _SLACK_MS:
                found.append(f"{row.mitra_id}: lost, {self._kept[row.mitra_id] - known} ms")
        return found

    def behind(
        self, scores: Mapping[UUID, float], rows: Iterable[MirrorRow], read_at: float
    ) -> list[str]:
        """Return who is older in the mirror, now that it is at rest, than she is in Postgres.

        The rows were read after that moment.
        """
        return [
            f"{row.mitra_id}: {_written(row, read_at) - scores.get(row.mitra_id, 0.0)} ms behind"
            for row in _alive(rows)
            if scores.get(row.mitra_id, 0.0) < _written(row, read_at) - _SLACK_MS
        ]


def _alive(rows: Iterable[MirrorRow]) -> Iterator[MirrorRow]:
    """Those whose beats count."""
    return (row for row in rows if row.online.is_online and row.active.is_active)


def _written(row: MirrorRow, now: float) -> float:
    return now - (row.online.beat_age_ms or 0)
