"""The tasks of a process: supervised, strongly held, and stopped in order."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from prometheus_client import Counter, Gauge

from common.log import get_logger

_log = get_logger("runner")
_restarts = Counter("task_restarts_total", "Loops that ended and were started anew", ["task"])
_failures = Counter(
    "task_failures_total", "Runs of a repeated or one-off task that raised", ["task"]
)
_alive = Gauge("tasks_alive", "Tasks that the runner holds")

_BACKOFF_FIRST = 0.1
_BACKOFF_LAST = 10.0
# A loop that ran this long was healthy: its next failure starts with the short wait again.
_HEALTHY_AFTER = 30.0
# nats-py still uses asyncio.wait_for, which can swallow one cancellation: ask again.
_CANCEL_AGAIN = 0.25
_CLOSE_EACH = 5.5


class Pulse:
    """A handle on repeated work: wakes it before its time."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()

    def now(self) -> None:
        """Run the work at once (or once more, if it is running now)."""
        self._wake.set()

    async def wait(self, seconds: float) -> None:
        """Sleep until somebody calls now(), at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()


class Runner:
    """Owns every task of the process and what must be closed at its end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._patient: set[asyncio.Task[object]] = set()
        self._wakers: list[Callable[[], None]] = []
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self._stopping = asyncio.Event()
        self._stopped = False

    @property
    def stopping(self) -> bool:
        """Whether the process is on its way out: take no new work."""
        return self._stopping.is_set()

    @property
    def stuck(self) -> list[str]:
        """The tasks that outlived stop(): they swallow every cancellation."""
        return [task.get_name() for task in self._tasks] if self._stopped else []

    def spawn(
        self, name: str, loop: Callable[[], Awaitable[None]], *, patient: bool = False
    ) -> None:
        """Run `loop` for ever; start it anew with backoff when it ends.

        A patient loop looks at `stopping` itself and may finish what it holds before it is
        cancelled.
        """
        if self._refuses(name):
            return
        self._hold(self._supervise(name, loop), name=name, patient=patient)

    def every(
        self,
        name: str,
        seconds: float,
        work: Callable[[], Awaitable[object]],
        *,
        jitter: float = 0.1,
    ) -> Pulse:
        """Run `work` every `seconds` ± jitter, the first time after a random part of that jitter.

        An error is logged and counted; the rhythm goes on.
        """
        pulse = Pulse()
        self.on_stopping(pulse.now)

        async def beat() -> None:
            await pulse.wait(seconds * jitter * random.random())
            while not self.stopping:
                await self._attempt(name, work())
                await pulse.wait(seconds * (1 + jitter * random.uniform(-1, 1)))

        self.spawn(name, beat, patient=True)
        return pulse

    def background(self, awaitable: Coroutine[Any, Any, object], *, name: str) -> None:
        """Run a one-off beside the caller; its error is logged and counted."""
        if self._refuses(name):
            awaitable.close()
            return
        self._hold(self._attempt(name, awaitable), name=name, patient=True)

    def on_stopping(self, wake: Callable[[], None]) -> None:
        """Call `wake` at the start of the stop: a patient loop need not sleep to its end."""
        self._wakers.append(wake)

    def on_stop(self, close: Callable[[], Awaitable[None]]) -> None:
        """Call `close` when the process stops, after the tasks, last registered first."""
        self._closers.append(close)

    async def stop(self, *, budget: float = 8.0) -> None:
        """Finish what is at hand, cancel the rest, close in reverse order: in `budget` seconds."""
        deadline = time.monotonic() + budget
        self._stopping.set()
        for wake in self._wakers:
            wake()
        for task in self._tasks - self._patient:
            task.cancel()
        await self._wait(self._patient, seconds=min(2.0, budget / 4))
        await self._cancel(until=time.monotonic() + budget / 4)
        while self._closers:
            left = max(0.2, deadline - time.monotonic())
            await self._close(self._closers.pop(), seconds=min(_CLOSE_EACH, left))
        self._stopped = True
        # A closer may have left one-offs behind.
        await self._cancel(until=time.monotonic() + 2 * _CANCEL_AGAIN)

    def _refuses(self, name: str) -> bool:
        if self._stopped:
            _log.warning("task_refused", task=name)
        return self._stopped

    def _hold(self, work: Coroutine[Any, Any, object], *, name: str, patient: bool) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        if patient:
            self._patient.add(task)
        _alive.set(len(self._tasks))
        task.add_done_callback(self._release)

    def _release(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        self._patient.discard(task)
        _alive.set(len(self._tasks))
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task_lost", task=task.get_name(), exc_info=error)

    async def _supervise(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        wait = _BACKOFF_FIRST
        while not self.stopping:
            started = time.monotonic()
            ended = await self._attempt(name, loop())
            if self._stopping.is_set():
                return
            if time.monotonic() - started > _HEALTHY_AFTER:
                wait = _BACKOFF_FIRST
            _restarts.labels(name).inc()
            if ended:
                _log.warning("loop_ended", task=name)
            await asyncio.sleep(wait * random.uniform(0.5, 1))
            wait = min(wait * 2, _BACKOFF_LAST)

    async def _attempt(self, name: str, work: Awaitable[object]) -> bool:
        try:
            await work
        except asyncio.CancelledError:
            if self._cancelled():
                raise
            # It came from an inner task of the work, not from us: a failure like any other.
            _failures.labels(name).inc()
            _log.exception("task_cancelled_inside", task=name)
        except Exception:  # noqa: BLE001 - one failure must not end the rhythm
            _failures.labels(name).inc()
            _log.exception("task_failed", task=name)
        else:
            return True
        return False

    @staticmethod
    def _cancelled() -> bool:
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0

    @staticmethod
    async def _wait(tasks: set[asyncio.Task[object]], *, seconds: float) -> None:
        if tasks and seconds > 0:
            await asyncio.wait(set(tasks), timeout=seconds)

    async def _cancel(self, *, until: float) -> None:
        while self._tasks and time.monotonic() < until:
            for task in self._tasks:
                task.cancel()
            await self._wait(self._tasks, seconds=_CANCEL_AGAIN)
        for task in self._tasks:
            _log.error("task_stuck", task=task.get_name())

    async def _close(self, close: Callable[[], Awaitable[None]], *, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await close()
        except Exception:  # noqa: BLE001 - the next closer must still run
            _log.exception("close_failed", closer=getattr(close, "__qualname__", repr(close)))
