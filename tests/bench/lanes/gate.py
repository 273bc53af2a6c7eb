"""What both lanes share: the product's own checks, with what they found remembered for a while."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from availability.settings import Settings
from common import log
from common.bus import Bus
from common.clock import Clock, SystemClock
from common.db import Database, Unavailable
from common.limits import Limiter
from common.revocation import GOOD_SECONDS, LoginRevoked, Revocations
from common.runner import Runner
from common.settings import load_settings
from common.tokens import Caller, KeysUnavailable, TokenInvalid, Verifier, build_verifier
from mirror import BeatOutcome, Limits, MirrorKit, MirrorUnavailable, open_mirror

_MOST_KNOWN: Final = 20_000
_BATCH: Final = 500
_IN_FLIGHT: Final = 2

Done = Callable[[BeatOutcome | None], None]


@dataclass(slots=True)
class Known:
    """A token that was good a moment ago."""

    mitra_id: UUID
    login_id: UUID
    limit_key: str
    ends_at: float  # both on the monotonic clock
    ask_again_at: float


class Refused(Exception):
    """The token is no good, its login has ended, or she asks too often."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Gate:
    """Who may beat, and the beats of one event-loop tick in one command."""

    def __init__(
        self,
        *,
        verifier: Verifier,
        revocations: Revocations,
        limiter: Limiter,
        kit: MirrorKit,
        runner: Runner,
        clock: Clock,
    ) -> None:
        self._verifier = verifier
        self._revocations = revocations
        self._limiter = limiter
        self._kit = kit
        self._runner = runner
        self._clock = clock
        self._now = clock.monotonic
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._revoked: set[UUID] = set()
        self._waiting: list[tuple[UUID, float]] = []
        self._answers: list[Done] = []
        self._scheduled = False
        self._in_flight = 0
        # A crowd at the door would empty the pool of connections, which counts as Valkey's failure.
        self._asking = asyncio.Semaphore(4)
        revocations.on_revoked(self._revoked.add)

    def known(self, token: str) -> Known | None:
        """Return whose token this is, when nothing has to be asked for it. Raises Refused."""
        known = self._known.get(token)
        now = self._now()
        if known is None or now >= known.ends_at or now >= known.ask_again_at:
            return None
        if known.login_id in self._revoked:
            raise Refused(401)
        if self._limiter.ask("write", known.limit_key) > 0:
            raise Refused(429)
        return known

    async def admit(self, token: str) -> Known:
        """Verify a token as every route does, and remember it. Raises Refused."""
        caller = await self._checked(token)
        known = self._remembered(caller)
        self._known[token] = known
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return known

    async def _checked(self, token: str) -> Caller:
        try:
            caller = await self._verifier.verify(token)
            if caller.role != "mitra":
                raise Refused(403)
            async with self._asking:
                await self._revocations.check(caller)
        except (TokenInvalid, LoginRevoked):
            raise Refused(401) from None
        except (KeysUnavailable, Unavailable):
            raise Refused(503) from None
        return caller

    def is_revoked(self, login_id: UUID) -> bool:
        """Whether this login was ended; a push away from true."""
        return login_id in self._revoked

    def beat(self, mitra_id: UUID, done: Done) -> None:
        """Take a beat; `done` gets its outcome, None when nobody could store it."""
        self._waiting.append((mitra_id, self._now()))
        self._answers.append(done)
        if not self._scheduled and self._in_flight < _IN_FLIGHT:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _remembered(self, caller: Caller) -> Known:
        now = self._now()
        life = (caller.expires_at - self._clock.now()).total_seconds()
        return Known(
            caller.user_id,
            caller.login_id,
            f"user:{caller.user_id}",
            now + life,
            now + GOOD_SECONDS,
        )

    def _flush(self) -> None:
        self._scheduled = False
        while self._waiting and self._in_flight < _IN_FLIGHT:
            beats, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            answers, self._answers = self._answers[:_BATCH], self._answers[_BATCH:]
            self._in_flight += 1
            self._runner.background(self._write(beats, answers), name="lane-beats")

    async def _write(self, beats: list[tuple[UUID, float]], answers: list[Done]) -> None:
        try:
            outcomes = await self._kit.mirror.record(beats)
        except MirrorUnavailable:
            outcomes = [BeatOutcome.OFFLINE] * len(beats)
        finally:
            self._in_flight -= 1
            self._flush()
        for (mitra_id, _), outcome, done in zip(beats, outcomes, answers, strict=True):
            if outcome is BeatOutcome.OFFLINE:
                # The product's own way knows what Postgres says, and heals.
                self._runner.background(self._ask_again(mitra_id, done), name="lane-doubt")
            else:
                done(outcome)

    async def _ask_again(self, mitra_id: UUID, done: Done) -> None:
        outcome = None
        try:
            outcome = await self._kit.beats.beat(mitra_id)
        finally:
            done(outcome)


async def open_gate(runner: Runner) -> tuple[Gate, Settings]:
    """Connect as the service does, with its environment."""
    settings, clock = load_settings(Settings), SystemClock()
    log.configure("lane", level=settings.log_level, fmt=settings.log_format)
    logging.getLogger("picows").setLevel(logging.ERROR)
    db = await Database.connect(settings.database_url, name="lane")
    runner.on_stop(db.close)
    bus = await Bus.connect(settings.nats_url, name="lane", runner=runner)
    kit = await open_mirror(settings.valkey_url, db, runner, clock, Limits())
    verifier = build_verifier(
        algorithm=settings.token_algorithm,
        jwks_url=settings.jwks_url,
        secret=None,
        clock=clock,
        runner=runner,
    )
    revocations = Revocations(
        db=db, valkey_url=settings.valkey_url, bus=bus, runner=runner, clock=clock
    )
    gate = Gate(
        verifier=verifier,
        revocations=revocations,
        limiter=Limiter(settings.rate_limits, clock=clock),
        kit=kit,
        runner=runner,
        clock=clock,
    )
    return gate, settings
