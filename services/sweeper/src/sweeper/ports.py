"""What the sweeps need from outside: leases, the mirror, the owners of due rows."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from mirror import BeatCursor, BeatPage
from sweeper.domain import Asked, Brake, Due, Lease, Picture, Shard, Stale, Swept, Turn


class Leases(Protocol):
    """The lease table; every comparison of time is made on the database's clock."""

    async def enlist(self, holder: str, *, seconds: float) -> int:
        """Say that this replica is alive; returns how many are."""
        ...

    async def renew(self, holder: str, leases: Collection[Lease], *, seconds: float) -> set[Lease]:
        """Keep the leases that are still ours; returns those."""
        ...

    async def take(
        self, holder: str, shards: Collection[Shard], *, seconds: float, wanted: int
    ) -> set[Lease]:
        """Take up to `wanted` free shards with a new fence."""
        ...

    async def release(self, holder: str, leases: Collection[Lease]) -> None:
        """Give leases back at once."""
        ...

    async def fire(self, holder: str, cadences: Mapping[Lease, float]) -> list[Asked]:
        """Claim the present slot of each lease; a slot is given to nobody twice."""
        ...

    async def leave(self, holder: str) -> None:
        """Say that this replica stops."""
        ...


class Runs(Protocol):
    """The record of notable passes."""

    async def record(self, turn: Turn, swept: Swept, *, holder: str, took_ms: int) -> None:
        """Keep one row and say it as an event, in one transaction."""
        ...


class Brakes(Protocol):
    """Stopped auto-offline passes."""

    async def find(self, sweep: str) -> Brake | None:
        """Return the pass that was stopped and waits for a confirmation; None for a void one."""
        ...

    async def put(self, sweep: str, picture: Picture) -> None:
        """Remember whom a stopped pass would have hit; what is confirmed stays as it is."""
        ...

    async def release(self, sweep: str) -> None:
        """Forget it: the danger is over or was dealt with."""
        ...


class Pruning(Protocol):
    """Old rows of our own."""

    async def prune(self) -> int:
        """Delete what is past its keeping time, in bounded bites; returns how many rows."""
        ...


class Heartbeats(Protocol):
    """The mirror's beats."""

    async def beats(self, after: BeatCursor, *, limit: int) -> BeatPage:
        """Return the next beats in the order of time; raises MirrorUnavailable."""
        ...


class Presence(Protocol):
    """The mirror's stale range."""

    async def picture(self) -> Picture:
        """Return who is stale, how many are online and fresh, in one look.

        Raises MirrorUnavailable where the mirror cannot be trusted: an error, no sentinel, seeded
        too freshly, or a silence of everybody's beats not long enough ago.
        """
        ...


class Truth(Protocol):
    """Published functions of the owners."""

    async def due(self, owner: str, *, limit: int) -> Sequence[Due]:
        """Rows of an owner that are past their deadline, without locks."""
        ...

    async def record_beats(self, ages: Sequence[tuple[UUID, float]]) -> int:
        """Write beats of these ages (ms) down; returns how many mitras were recorded."""
        ...


class Owners(Protocol):
    """Commands to the owners; both raise OwnerUnavailable."""

    async def mark_offline(self, stale: Sequence[Stale], *, fence: int) -> int:
        """Ask availability to take stale mitras offline; returns how many it did."""
        ...

    async def settle(self, owner: str, due: Sequence[Due], *, fence: int) -> int:
        """Ask an owner to settle due rows; returns how many it did."""
        ...


class Mirror(Protocol):
    """The mirror as a whole."""

    async def reseed(self) -> int:
        """Rebuild it from the truth; returns how many facts were healed."""
        ...


class Meter(Protocol):
    """Numbers for the people who watch."""

    def swept(self, sweep: str, swept: Swept, *, seconds: float) -> None:
        """Count a pass that ended."""
        ...

    def failed(self, sweep: str) -> None:
        """Count a pass that raised."""
        ...

    def held(self, leases: int) -> None:
        """Show how many leases this replica holds."""
        ...

    def braked(self, sweep: str, *, on: bool) -> None:
        """Show whether the brake of a sweep is on."""
        ...

    def gone(self, sweep: str) -> None:
        """Show nothing more of a brake that another replica looks after now."""
        ...
