"""The outbox: an event is written with its change, told at once, and told again until it is held.

Three parts: append() writes rows in the caller's transaction; the fast path publishes them from
memory right after the commit; the relay re-drives whatever has no acknowledgement.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import orjson
from prometheus_client import Counter, Gauge, Histogram

from common import baseline, inbox, trace
from common.bus import Bus, BusUnavailable, Event, PubAck
from common.bus.envelope import event_headers
from common.clock import Clock
from common.db import Database, Queries, Transaction, Unavailable
from common.ids import new_id
from common.log import get_logger
from common.runner import Pulse, Runner

QUERIES = Queries.load(Path(__file__).with_name("outbox.sql"))

_log = get_logger("outbox")
_published = Counter("outbox_published_total", "Events that the stream holds", ["path"])
_failed = Counter("outbox_publish_failed_total", "Publishes without an acknowledgement", ["path"])
_waiting = Gauge("outbox_unpublished", "Events without an acknowledgement")
_oldest = Gauge("outbox_oldest_seconds", "Age of the oldest event without an acknowledgement")
_delay = Histogram(
    "outbox_ack_seconds",
    "From writing an event to the stream's acknowledgement",
    buckets=(0.002, 0.005, 0.01, 0.05, 0.25, 1, 2, 5, 30),
)
_restored = Counter("outbox_restored_total", "Times the stream was found to have lost events")

_WORKERS: Final = 4
_LINE: Final = 2000
# A relay that dies while publishing leaves its rows to others after this long.
_RELAY_CLAIM: Final = timedelta(seconds=3)
_MARK_EVERY: Final = 0.02
_WATCH_SECONDS: Final = 5.0
_PRUNE_SECONDS: Final = 600.0
_PRUNE_BATCH: Final = 5000
_BREAK: Final = (0.5, 5.0)


@dataclass(frozen=True)
class Row:
    """One event as it stands in the table."""

    id: UUID
    subject: str
    body: bytes
    traceparent: str
    at: datetime


class Outbox:
    """The events of one service; every replica runs its own relay over the same table."""

    def __init__(
        self, *, service: str, db: Database, bus: Bus, runner: Runner, clock: Clock
    ) -> None:
        self._service = service
        self._db = db
        self._bus = bus
        self._clock = clock
        self._fresh: asyncio.Queue[Row] = asyncio.Queue(_LINE)
        # What the fast path still has to say; our own relay leaves it alone, however long it takes.
        self._in_memory: set[UUID] = set()
        self._acknowledged: deque[tuple[Row, PubAck]] = deque()
        self._marks = asyncio.Event()
        self._breaker = _Breaker(clock)
        # The same database keeps what this service hears and cannot handle.
        bus.bury_in(db)
        for number in range(_WORKERS):
            runner.spawn(f"outbox-tell-{number}", self._tell_fresh)
        runner.spawn("outbox-mark", self._mark_acknowledged)
        self._relay: Pulse = runner.every("outbox-relay", baseline.OUTBOX_POLL, self._relay_once)
        runner.every("outbox-watch", _WATCH_SECONDS, self._watch)
        runner.every("outbox-prune", _PRUNE_SECONDS, self._prune_all)
        bus.listen(f"hint.{service}.outbox", self._hinted, queue=f"{service}-outbox")
        runner.on_stop(self._last_words)

    async def append(self, tx: Transaction, *events: Event) -> None:
        """Write the events with this transaction; they are told once it has committed."""
        if not events:
            return
        rows = [self._row(event) for event in events]
        await tx.execute(
            QUERIES["append"],
            [row.id for row in rows],
            [row.subject for row in rows],
            [row.body.decode() for row in rows],
            [orjson.dumps({"traceparent": row.traceparent}).decode() for row in rows],
            baseline.OUTBOX_RELAY_AFTER.total_seconds(),
        )
        tx.after_commit(lambda: self._tell_soon(rows))

    async def prune(self, older_than: timedelta = baseline.OUTBOX_KEEP) -> int:
        """Delete published events of before; return how many."""
        pruned = 0
        while True:
            async with self._db.connection() as connection:
                tag = await connection.execute(
                    QUERIES["prune"], older_than.total_seconds(), _PRUNE_BATCH
                )
            removed = int(tag.split()[-1])
            pruned += removed
            if removed < _PRUNE_BATCH:
                return pruned

    def _row(self, event: Event) -> Row:
        body = event.model_dump_json().encode()
        if len(body) > baseline.EVENT_MAX_BYTES:
            _log.warning("event_large", subject=event.subject, bytes=len(body))
        return Row(new_id(), event.subject, body, trace.traceparent(), self._clock.now())

    # --- the fast path ---------------------------------------------------------------------

    def _tell_soon(self, rows: Sequence[Row]) -> None:
        if not self._bus.up:
            return
        for row in rows:
            try:
                self._fresh.put_nowait(row)
            except asyncio.QueueFull:
                return
            self._in_memory.add(row.id)

    async def _tell_fresh(self) -> None:
        while True:
            row = await self._fresh.get()
            try:
                await self._publish(row, path="memory")
            finally:
                self._in_memory.discard(row.id)

    async def _publish(self, row: Row, *, path: str) -> bool:
        """Publish one event; without an acknowledgement nothing is known and the relay repeats."""
        headers = event_headers(
            id=row.id, subject=row.subject, at=row.at.isoformat(), traceparent=row.traceparent
        )
        try:
            ack = await self._bus.publish_event(
                id=row.id, subject=row.subject, body=row.body, headers=headers
            )
        except BusUnavailable as error:
            _failed.labels(path).inc()
            _log.debug("publish_unknown", event_id=str(row.id), error=str(error))
            return False
        _published.labels(path).inc()
        _delay.observe(max(0.0, (self._clock.now() - row.at).total_seconds()))
        self._acknowledged.append((row, ack))
        self._marks.set()
        return True

    async def _mark_acknowledged(self) -> None:
        while True:
            await self._marks.wait()
            # One UPDATE for all acknowledgements of a moment.
            await asyncio.sleep(_MARK_EVERY)
            self._marks.clear()
            await self._mark()

    async def _mark(self) -> None:
        batch: dict[UUID, int] = {}
        while self._acknowledged:
            row, ack = self._acknowledged.popleft()
            batch[row.id] = ack.seq
        if not batch:
            return
        async with self._db.transaction() as tx:
            twice = await tx.fetchval(QUERIES["mark"], list(batch), list(batch.values()))
        if twice is not None:
            # The stream gave a sequence a second time: it was set back and has grown since.
            await self._publish_again(int(twice) - 1)

    # --- the relay -------------------------------------------------------------------------

    async def _hinted(self, _subject: str, _body: bytes) -> None:
        self._relay.now()

    async def _relay_once(self) -> None:
        while self._bus.up and self._breaker.closed:
            rows = await self._claim()
            mine = [row for row in rows if row.id not in self._in_memory]
            told = await asyncio.gather(*(self._publish(row, path="relay") for row in mine))
            await self._mark()
            self._breaker.note(all(told))
            if len(rows) < baseline.OUTBOX_BATCH:
                return

    async def _claim(self) -> list[Row]:
        async with self._db.transaction() as tx:
            records = await tx.fetch(
                QUERIES["claim"], baseline.OUTBOX_BATCH, _RELAY_CLAIM.total_seconds()
            )
        return [_row_of(record) for record in sorted(records, key=lambda r: int(r["position"]))]

    # --- watching --------------------------------------------------------------------------

    async def _watch(self) -> None:
        async with self._db.connection() as connection:
            backlog = await connection.fetchrow(QUERIES["backlog"])
            # Before the stream is asked: what it says later can only be higher, unless it lost.
            highest = await connection.fetchval(QUERIES["highest_seq"])
        if backlog is not None:
            _waiting.set(backlog["waiting"])
            _oldest.set(backlog["oldest"])
        if highest is None or not self._bus.up:
            return
        try:
            last = await self._bus.last_seq(self._service.upper())
        except BusUnavailable:
            return
        if last < highest:
            await self._publish_again(last)

    async def _publish_again(self, above: int) -> None:
        _restored.inc()
        async with self._db.transaction() as tx:
            tag = await tx.execute(QUERIES["forget_above"], above)
        _log.error("stream_set_back", last_seq=above, again=int(tag.split()[-1]))
        self._relay.now()

    async def _prune_all(self) -> None:
        await self.prune()
        await inbox.prune(self._db)

    async def _last_words(self) -> None:
        """Note the last acknowledgements, so that nobody need repeat them."""
        try:
            await self._mark()
        except Unavailable:
            _log.info("marks_left_to_relay")


class _Breaker:
    """Keeps the relay from hammering a stream that does not acknowledge."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wait = _BREAK[0]
        self._until = 0.0

    @property
    def closed(self) -> bool:
        """Whether the relay may try."""
        return self._clock.monotonic() >= self._until

    def note(self, ok: bool) -> None:  # noqa: FBT001 - the one thing it is told
        """Open for a growing while after a failure, close after a success."""
        if ok:
            self._wait, self._until = _BREAK[0], 0.0
        else:
            self._until = self._clock.monotonic() + self._wait
            self._wait = min(self._wait * 2, _BREAK[1])


def _row_of(record: asyncpg.Record) -> Row:
    headers = orjson.loads(record["headers"])
    return Row(
        id=record["id"],
        subject=record["subject"],
        body=record["body"].encode(),
        traceparent=headers.get("traceparent") or trace.traceparent(),
        at=record["created_at"],
    )
