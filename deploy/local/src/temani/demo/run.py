"""One run: hires mitras, lets everybody live for a while, winds down, and asks the oracle."""

import asyncio
import contextlib
import inspect
import random
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from temani import layout, profiles
from temani.demo import oracle
from temani.demo.customer import Customer
from temani.demo.history import History
from temani.demo.mitra import Mitra
from temani.demo.numbers import Numbers, Summary
from temani.demo.opening import need_open
from temani.demo.operator import Operator
from temani.demo.orders import fetch_orders
from temani.demo.phone import LoggedOut, Refused, Unreachable
from temani.demo.scenes import Deck
from temani.demo.world import World
from temani.state import State

CUSTOMERS = 12
# Those of capacity 1 grab more than they may; the rest take what they can.
CAPACITIES = (1, 1, 2, 2, 3, 3, 3, 3)
GREEDY = 2
NAMES = ("Sari", "Budi", "Dewi", "Agus", "Wulan", "Rizky", "Ayu", "Hendra")
TICK_SECONDS = 0.5
QUICK_CHECK_SECONDS = 5.0
SIGN_IN_SECONDS = 40.0
WIND_DOWN_SECONDS = 25.0
KEPT_HISTORIES = 10

OnTick = Callable[[float, World], Awaitable[None] | None]


class Display(Protocol):
    """Whoever shows the progress of a run."""

    def update(self, run: "Run") -> None:
        """Show where the run is."""
        ...


@dataclass
class Run:
    """A run in progress, as displays and hooks see it."""

    world: World
    seconds: float | None
    seed: int
    began: float = field(default_factory=time.monotonic)
    phase: str = "starting"
    quick: oracle.Report = field(default_factory=oracle.Report)

    @property
    def elapsed(self) -> float:
        """Seconds since everybody was there."""
        return time.monotonic() - self.began


async def run_demo(
    stack_state: State,
    seconds: float | None,
    *,
    seed: int | None = None,
    on_tick: OnTick | None = None,
    display: Display | None = None,
    stop: asyncio.Event | None = None,
    folder: Path = layout.STATE,
) -> Summary:
    """Run bots against a running stack for `seconds` (None: until `stop`), then check everything.

    `on_tick(elapsed, world)` is called twice a second; fault tests kill and freeze processes in it.
    Raises ServiceClosed before anybody is hired.
    """
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    numbers = Numbers()
    rng = random.Random(seed)
    place = _new_place(folder / "history")
    timeout = aiohttp.ClientTimeout(total=10)
    with History(place / "bots.jsonl") as history:
        async with aiohttp.ClientSession(timeout=timeout) as web:
            world = World(
                gateway=stack_state.urls["gateway"],
                providers=stack_state.urls["providers"],
                rng=rng,
                history=history,
                numbers=numbers,
                deck=Deck(rng),
                web=web,
            )
            run = Run(world, seconds, seed)
            stop = stop or asyncio.Event()
            await _Company(run, stack_state).perform(stop, on_tick, display)
            run.phase = "checking"
            if display is not None:
                display.update(run)
    report = await _ask_oracle(stack_state, place)
    return summarise(run, report, place)


def _new_place(histories: Path) -> Path:
    """Make room for this run's history; only the newest ones are kept."""
    old = sorted(histories.glob("*")) if histories.exists() else []
    for one in old[: max(len(old) - KEPT_HISTORIES + 1, 0)]:
        shutil.rmtree(one, ignore_errors=True)
    return histories / time.strftime("%Y%m%d-%H%M%S")


class _Company:
    """All bots of a run."""

    def __init__(self, run: Run, state: State) -> None:
        self._run = run
        self._world = run.world
        self._state = state
        self._beat_seconds = float(
            profiles.load(state.profile).settings.get("HEARTBEAT_SECONDS", "20")
        )
        # Addresses and numbers of each run are new, so that limits per person start afresh.
        self._fresh = random.SystemRandom()
        self._mitras: list[Mitra] = []

    async def perform(
        self, stop: asyncio.Event, on_tick: OnTick | None, display: Display | None
    ) -> None:
        operator = self._operator()
        async with operator.phone:
            await operator.sign_in()
            await need_open(operator.phone)
            await self._hire(operator)
            crew = [asyncio.ensure_future(_revive(self._world, one.live)) for one in self._mitras]
            operating = asyncio.ensure_future(_revive(self._world, operator.live))
            try:
                await self._until_signed_in()
                customers = [
                    asyncio.ensure_future(_revive(self._world, one.live))
                    for one in self._customers()
                ]
                self._run.began = time.monotonic()
                self._run.phase = "running"
                await self._tick(stop, on_tick, display)
                await self._wind_down([*customers, operating], display)
            finally:
                for task in (*crew, operating):
                    task.cancel()
                await asyncio.gather(*crew, operating, return_exceptions=True)

    def _operator(self) -> Operator:
        return Operator(
            self._world,
            email=self._state.operator["email"],
            password=self._state.operator["password"],
            address=self._address(),
            mitras=self._mitras,
        )

    def _customers(self) -> list[Customer]:
        return [
            Customer(self._world, phone_number=self._number(), address=self._address())
            for _ in range(CUSTOMERS)
        ]

    async def _hire(self, operator: Operator) -> None:
        for place, capacity in enumerate(CAPACITIES):
            number = self._number()
            await operator.hire(number, NAMES[place % len(NAMES)], capacity)
            self._mitras.append(
                Mitra(
                    self._world,
                    phone_number=number,
                    address=self._address(),
                    capacity=capacity,
                    beat_seconds=self._beat_seconds,
                    greedy=place < GREEDY,
                )
            )

    async def _until_signed_in(self) -> None:
        async with asyncio.timeout(SIGN_IN_SECONDS):
            await asyncio.gather(*(one.signed_in.wait() for one in self._mitras))

    async def _tick(
        self, stop: asyncio.Event, on_tick: OnTick | None, display: Display | None
    ) -> None:
        checked_at = time.monotonic()
        while not stop.is_set() and not self._is_over():
            if display is not None:
                display.update(self._run)
            if on_tick is not None:
                called = on_tick(self._run.elapsed, self._world)
                if inspect.isawaitable(called):
                    await called
            if time.monotonic() - checked_at > QUICK_CHECK_SECONDS:
                checked_at = time.monotonic()
                await self._check_quickly()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await stop.wait()

    def _is_over(self) -> bool:
        return self._run.seconds is not None and self._run.elapsed >= self._run.seconds

    async def _check_quickly(self) -> None:
        # Postgres may be away in the middle of a drill; the check at the end counts.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(3):
                self._run.quick = await oracle.check_quickly(self._state.urls["postgres_admin"])

    async def _wind_down(
        self, people: Sequence["asyncio.Future[None]"], display: Display | None
    ) -> None:
        """Let everybody finish or cancel what is open, within bounds."""
        self._run.phase = "winding down"
        self._world.winding_down.set()
        deadline = time.monotonic() + WIND_DOWN_SECONDS
        waiting: set[asyncio.Future[None]] = set(people)
        while waiting and time.monotonic() < deadline:
            if display is not None:
                display.update(self._run)
            _, waiting = await asyncio.wait(waiting, timeout=TICK_SECONDS)
        for one in waiting:
            one.cancel()
        if waiting:
            self._world.numbers.surprise(f"{len(waiting)} people did not finish in time")
        await asyncio.gather(*people, return_exceptions=True)
        for mitra in self._mitras:
            with contextlib.suppress(Refused, Unreachable, LoggedOut):
                await mitra.leave()

    def _number(self) -> str:
        return f"+62812{self._fresh.randrange(10_000_000, 100_000_000)}"

    def _address(self) -> str:
        pick = self._fresh.randrange
        return f"127.{pick(1, 255)}.{pick(0, 256)}.{pick(1, 255)}"


async def _revive(world: World, live: Callable[[], Awaitable[None]]) -> None:
    """Let a bot live; one that falls over is noted and starts again."""
    while True:
        try:
            await live()
        except* (LoggedOut, Unreachable, aiohttp.ClientError, TimeoutError) as cut:
            world.numbers.count(f"bots_cut_{type(cut.exceptions[0]).__name__}")
        except* Refused as refused:
            world.numbers.surprise(f"refused: {refused.exceptions[0]}")
        except* Exception as error:  # noqa: BLE001  # a bot's own fault must be seen in the summary
            first = error.exceptions[0]
            world.numbers.surprise(f"bot: {type(first).__name__}: {first}")
        else:
            return
        if world.winding_down.is_set():
            return
        await asyncio.sleep(0.5)


async def _ask_oracle(state: State, place: Path) -> oracle.Report:
    orders: list[dict[str, Any]] | None = None
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        orders = await fetch_orders(state.urls["providers"])
    return await oracle.check(
        state.urls["postgres_admin"], [place], valkey_url=state.urls["valkey"], orders=orders
    )


def summarise(run: Run, report: oracle.Report, place: Path) -> Summary:
    """Put numbers and findings together."""
    numbers = run.world.numbers
    broken = [f"server error: {what}" for what in numbers.surprises if what.startswith("500 ")]
    texts = [*report.texts, *broken]
    return Summary(
        seed=run.seed,
        seconds=round(run.elapsed, 1),
        sessions_completed=numbers.counts["sessions_completed"],
        sessions_extended=numbers.counts["sessions_extended"],
        messages=numbers.counts["messages"],
        requests=numbers.counts["requests"],
        violations=len(texts),
        violation_texts=texts,
        latency_ms=numbers.latencies(),
        paths_walked=dict(numbers.paths),
        missing_paths=numbers.missing_paths(),
        counts=dict(sorted(numbers.counts.items())),
        surprises=dict(numbers.surprises),
        invariants=report.outcomes(),
        history=str(place),
    )
