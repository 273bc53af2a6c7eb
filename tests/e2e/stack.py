"""One whole running stack for the tests that look from outside."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from temani.stack import Options
from temani.stack import Stack as Launched
from temani.state import State

_phones = itertools.count(10_001)


@dataclass
class Stack:
    """The addresses and logins of a running stack, and the seconds of its profile."""

    launched: Launched

    @property
    def state(self) -> State:
        """What runs now."""
        return self.launched.state()

    @property
    def gateway(self) -> str:
        """The one address for apps."""
        return self.state.urls["gateway"]

    @property
    def devproviders(self) -> str:
        """The simulated providers."""
        return self.launched.addresses.providers_url

    @property
    def operator_email(self) -> str:
        """The first operator's login name."""
        return self.state.operator["email"]

    @property
    def operator_password(self) -> str:
        """The first operator's password."""
        return self.state.operator["password"]

    @property
    def request_wait_seconds(self) -> float:
        """How long a request waits for a taker."""
        return float(self.launched.profile.settings["REQUEST_WAIT_SECONDS"])

    @property
    def show_up_seconds(self) -> float:
        """How long a paid session waits for its mitra's first sign of life."""
        return float(self.launched.profile.settings["SHOW_UP_SECONDS"])

    def tier(self, *, seconds: int) -> str:
        """Return the tier on offer with this length."""
        return next(t.tier_id for t in self.launched.profile.tiers if t.duration_seconds == seconds)

    @staticmethod
    def new_phone() -> str:
        """Return a mobile number that nobody used in this run."""
        return f"+62812{next(_phones):08d}"


async def launch(folder: Path, *, say: Callable[[str], None], **options: object) -> Stack:
    """Start a stack on the demo profile in a folder of its own."""
    launched = Launched(Options(profile="demo", folder=folder, any_ports=True, **options), say=say)  # type: ignore[arg-type]  # passed through by name
    try:
        await launched.start()
    except BaseException:
        await launched.kill()
        raise
    return Stack(launched)
