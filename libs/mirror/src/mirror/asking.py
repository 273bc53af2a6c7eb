"""One question, one round trip, and with each answer the proof that a mirror gave it."""

from collections.abc import Sequence
from typing import Final

from libvalkey import pack_command

from common.clock import Clock
from mirror import keys
from mirror.errors import MirrorUnavailable
from mirror.link import Link, Server
from mirror.scripts import Script
from mirror.sentinel import Sentinel
from mirror.values import Limits
from mirror.wire import Argument, Reply

NEWEST: Final = pack_command(
    (
        "ZRANGE",
        keys.ONLINE,
        f"({keys.BARRED}",
        "-inf",
        "BYSCORE",
        "REV",
        "LIMIT",
        0,
        1,
        "WITHSCORES",
    )
)
GUARD_OF_ONLINE: Final = pack_command(("ZSCORE", keys.ONLINE, keys.GUARD))
# The last commands of each question. Valkey may do something else between two of them: when it lost
# a key meanwhile, then the guards and the sentinel, asked for after the facts, are gone as well.
_PROOF: Final = (
    NEWEST
    + GUARD_OF_ONLINE
    + pack_command(("TIME",))
    + pack_command(("MGET", keys.SEED, keys.INTAKE))
)
_PROOFS: Final = 4
FUTURE_MS: Final = 5_000
"""How far in the future a beat may lie: more is a clock that went back."""
_FOUND_AGAIN_MS: Final = 2_000
_JUMP_MS: Final = 500
TRIES: Final = 3


class Asking:
    """Asks, and believes the answer only where it comes from a mirror that hears beats."""

    def __init__(self, link: Link, *, clock: Clock, limits: Limits) -> None:
        self._link = link
        self._clock = clock
        self._limits = limits
        self._fresh_ms, self._deaf_ms = limits.fresh_ms, limits.deaf_ms
        self.sentinel = Sentinel()

    async def _read(self, *commands: bytes) -> tuple[Sequence[Reply], int]:
        """Send packed commands; return their replies and the time, in ms on Valkey's clock."""
        asked = len(commands)
        replies, server = await self._link.ask(b"".join(commands) + _PROOF, asked + _PROOFS)
        newest, guard, time, kept = replies[asked:]
        now = int(time[0]) * 1000 + int(time[1]) // 1000
        self._believe(server, kept, now)
        whole((guard,))
        if newest and newest[1] != b"0":
            self._hears(now - int(newest[1]))
        return replies, now

    async def _run(self, script: Script, *args: Argument) -> Sequence[Reply]:
        """Run a script that looks at the guards by itself; silence is no matter here."""
        answer, server = await self._link.run(script, args)
        self._is_seeded(server, answer and answer[0])
        whole((len(answer) > 1,))
        return answer  # type: ignore[no-any-return]  # a list by the scripts' contract

    async def _floor(self) -> int:
        """Return the score that a fresh beat exceeds, or a little more, by the clock we learned."""
        server = self._link.server or await self._link.learn_clock()
        return int(self._clock.monotonic() * 1000 + server.latest_ms) + 1 - self._fresh_ms

    async def _holds(self, floor: int, now: int) -> bool:
        """Return whether `floor` was right at `now`; learn the clock anew where it was not."""
        if abs(now - self._fresh_ms - floor) <= _JUMP_MS:
            return True
        await self._link.learn_clock()
        return False

    def _believe(self, server: Server, kept: Sequence[bytes | None], now: int) -> None:
        raw, silence_ended = kept
        self._is_seeded(server, raw)
        if silence_ended is not None or server.found_ms is not None:
            self._caught_up(server, now, 0 if silence_ended is None else int(silence_ended))

    def _is_seeded(self, server: Server, raw: bytes | None) -> None:
        if raw is None:
            raise MirrorUnavailable("it was never seeded", state="seeding")
        self.sentinel.check(raw, run_id=server.run_id)

    def _hears(self, silent_ms: int) -> None:
        if silent_ms > self._deaf_ms:
            raise MirrorUnavailable("deaf: somebody is online, but no beat comes", state="deaf")
        if silent_ms < -FUTURE_MS:
            raise MirrorUnavailable("its beats lie in the future", state="seeding")

    def _caught_up(self, server: Server, now: int, silence_ended: int) -> None:
        """Raise while the beats of a silence or of an outage may not have come over yet.

        They are in Postgres: a seeding brings them. Without one, everybody's next beat does.
        """
        assert self.sentinel.seed is not None
        seeded = self.sentinel.seed.seeded_ms
        if seeded <= silence_ended and now < silence_ended + self._limits.next_beat_ms:
            raise MirrorUnavailable("it was deaf until a moment ago", state="seeding")
        found = server.found_ms
        if found is not None and seeded <= found and now < found + _FOUND_AGAIN_MS:
            raise MirrorUnavailable("it was away until a moment ago", state="seeding")


def whole(guards: Sequence[Reply]) -> None:
    """Raise unless each of the keys has its guard."""
    if not all(guards):
        raise MirrorUnavailable("a part of it is lost", state="seeding")
