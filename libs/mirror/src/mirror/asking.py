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

_GUARD: Final = keys.GUARD.encode()
_NEWEST: Final = pack_command(
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
LAST_TWO: Final = pack_command(("ZRANGE", keys.ONLINE, -2, -1, "WITHSCORES"))
"""The guard, above all others, and below it the newest beat (or somebody who is deactivated)."""
# The last commands of each question. Valkey may do something else between two of them: when it lost
# a key meanwhile, then the guards and the sentinel, asked for after the facts, are gone as well.
_PROOF: Final = LAST_TWO + pack_command(("TIME",)) + pack_command(("MGET", keys.SEED, keys.INTAKE))
_PROOFS: Final = 3
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
        last, time, kept = replies[asked:]
        now = int(time[0]) * 1000 + int(time[1]) // 1000
        self._believe(server, kept, now)
        newest = newest_of(last)
        if newest == keys.BARRED:
            found, _ = await self._link.ask(_NEWEST, 0)
            newest = int(found[1]) if found else 0
        if newest:
            self._hears(now - newest)
        return replies, now

    async def _run(self, script: Script, *args: Argument) -> Sequence[Reply]:
        """Run a script that looks at the guards by itself; silence is no matter here."""
        answer, server = await self._link.run(script, args)
        self._is_seeded(server, answer and answer[0])
        whole((len(answer) > 1,))
        return answer  # type: ignore[no-any-return]  # a list by the scripts' contract

    def _floor(self, server: Server) -> int:
        """Return the score that a fresh beat exceeds, or a little more, by the clock we learned."""
        return int(self._clock.monotonic() * 1000 + server.latest_ms) + 1 - self._fresh_ms

    def _holds(self, floor: int, now: int) -> bool:
        """Return whether `floor` was right at `now`; where it was not, the clock jumped."""
        return abs(now - self._fresh_ms - floor) <= _JUMP_MS

    def _believe(self, server: Server, kept: Sequence[bytes | None], now: int) -> None:
        raw, silence_ended = kept
        self._is_seeded(server, raw)
        if silence_ended is not None or server.found_ms is not None:
            self._caught_up(server, now, 0 if silence_ended is None else int(silence_ended))

    def _is_seeded(self, server: Server, raw: bytes | None) -> None:
        if raw is None:
            raise MirrorUnavailable("it was never seeded", code="unseeded")
        self.sentinel.check(raw, run_id=server.run_id)

    def _hears(self, silent_ms: int) -> None:
        if silent_ms > self._deaf_ms:
            raise MirrorUnavailable("somebody is online, but no beat comes", code="deaf")
        if silent_ms < -FUTURE_MS:
            raise MirrorUnavailable("its beats lie in the future", code="future_beats")

    def _caught_up(self, server: Server, now: int, silence_ended: int) -> None:
        """Raise while the beats of a silence or of an outage may not have come over yet.

        They are in Postgres: a seeding brings them. Without one, everybody's next beat does.
        """
        assert self.sentinel.seed is not None
        seeded = self.sentinel.seed.seeded_ms
        if seeded <= silence_ended and now < silence_ended + self._limits.next_beat_ms:
            raise MirrorUnavailable("it was deaf until a moment ago", code="was_deaf")
        found = server.found_ms
        if found is not None and seeded <= found <= now < found + _FOUND_AGAIN_MS:
            raise MirrorUnavailable("it was away until a moment ago", code="was_away")


def newest_of(last: Sequence[bytes]) -> int:
    """Read the newest beat, 0 where there is none, of what stands last in `online`."""
    if len(last) < 2 or last[-2] != _GUARD:
        raise lost_a_key()
    return int(last[1]) if len(last) == 4 else 0


def lost_a_key() -> MirrorUnavailable:
    """Return what to raise where a guard is missing."""
    return MirrorUnavailable("a part of it is lost", code="part_lost")


def whole(guards: Sequence[Reply]) -> None:
    """Raise unless each of the keys has its guard."""
    if not all(guards):
        raise lost_a_key()
