"""Whether what answers is a mirror: the sentinel that comes with every answer, judged."""

from mirror.errors import MirrorUnavailable
from mirror.keys import SCHEMA
from mirror.values import Seed


class Sentinel:
    """Remembers the last sentinel and the highest history of Postgres that was heard of."""

    def __init__(self) -> None:
        self._raw: bytes | None = None
        self._pg_epoch = 0
        self.seed: Seed | None = None

    def expect(self, pg_epoch: int) -> None:
        """Believe no mirror of an older history of Postgres than this."""
        if pg_epoch > self._pg_epoch:
            self._pg_epoch = pg_epoch
            self._raw = None

    def check(self, raw: bytes, *, run_id: str) -> None:
        """Raise MirrorUnavailable unless the mirror was seeded into this very server process.

        A server that came back with old data, or a replica that took over, kept the sentinel but
        may have lost the last writes: its process is another one, and so it is seeded again.
        """
        if raw == self._raw and self.seed is not None and self.seed.run_id == run_id:
            return
        seed = parse(raw)
        if seed.schema != SCHEMA:
            raise MirrorUnavailable("it has another layout", code="other_layout")
        if seed.run_id != run_id:
            raise MirrorUnavailable(
                "it was seeded into another server process", code="other_process"
            )
        if seed.pg_epoch < self._pg_epoch:
            raise MirrorUnavailable(
                "it was seeded from an older history of Postgres",
                code="older_history",
            )
        self._pg_epoch = seed.pg_epoch
        self._raw, self.seed = raw, seed


def parse(raw: bytes) -> Seed:
    """Read a sentinel; raise MirrorUnavailable when it is none."""
    try:
        schema, pg_epoch, seeding_id, run_id, since, seeded = raw.decode().split(" ")
        return Seed(int(schema), int(pg_epoch), seeding_id, run_id, int(since), int(seeded))
    except ValueError as error:
        raise MirrorUnavailable("its sentinel cannot be read", code="unreadable") from error


def write(seed: Seed) -> str:
    """Write a sentinel."""
    return (
        f"{seed.schema} {seed.pg_epoch} {seed.seeding_id} {seed.run_id}"
        f" {seed.since_ms} {seed.seeded_ms}"
    )
