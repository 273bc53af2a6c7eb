"""A runner without a rhythm: what a test counts, only the test causes."""

from collections.abc import Awaitable, Callable

from common.runner import Pulse, Runner

_NEVER = 1e9


class Still(Runner):
    """Runs what is spawned like any Runner; repeated work only when its pulse is hurried.

    The first run of a rhythm comes after a random part of its jitter: now and then amid the test.
    """

    def every(
        self,
        name: str,
        seconds: float,  # noqa: ARG002 - it never comes by itself
        work: Callable[[], Awaitable[object]],
        *,
        jitter: float = 0.1,  # noqa: ARG002 - (same)
    ) -> Pulse:
        """Run `work` each time the returned pulse is told now(), and at no other time."""
        pulse = Pulse()
        self.on_stopping(pulse.now)

        async def on_call() -> None:
            while not self.stopping:
                await pulse.wait(_NEVER)
                if not self.stopping:
                    await self._attempt(name, work())

        self.spawn(name, on_call, patient=True)
        return pulse
