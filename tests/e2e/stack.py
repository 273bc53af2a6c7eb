"""One whole running stack for the tests that look from outside."""

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from unittest.mock import patch

from temani.stack import Options
from temani.stack import Stack as Launched
from temani.state import State

_phones = itertools.count(10_001)

# Where a story has to be in time, ten times what it takes on a machine of its own.
PATIENT = {
    "OFFER_LIFE_SECONDS": "8",
    "PAYMENT_HOLD_SECONDS": "20",
    "SHOW_UP_SECONDS": "6",
    "LOST_SECONDS": "10",
    "WARNINGS_SECONDS": "15,3,1",
    "EXTENSION_ANSWER_SECONDS": "10",
    "CLOSING_GRACE_SECONDS": "10",
}


@dataclass
class Stack:
    """The addresses and logins of a running stack, and the seconds of its profile."""

    launched: Launched
    settings: Mapping[str, str]  # beside those of the profile

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
        return self._seconds("REQUEST_WAIT_SECONDS")

    @property
    def show_up_seconds(self) -> float:
        """How long a paid session waits for its mitra's first sign of life."""
        return self._seconds("SHOW_UP_SECONDS")

    def tier(self, *, seconds: int) -> str:
        """Return the tier on offer with this length."""
        return next(t.tier_id for t in self.launched.profile.tiers if t.duration_seconds == seconds)

    @staticmethod
    def new_phone() -> str:
        """Return a mobile number that nobody used in this run."""
        return f"+62812{next(_phones):08d}"

    def _seconds(self, name: str) -> float:
        return float({**self.launched.profile.settings, **self.settings}[name])


async def launch(options: Options, settings: Mapping[str, str]) -> Stack:
    """Start a stack with these settings beside those of its profile."""
    said: list[str] = []
    # Only while it starts: a process takes its environment along, and other tests have their own.
    with patch.dict(os.environ, settings):
        launched = Launched(options, say=said.append)
        try:
            await launched.start()
        except BaseException:
            await launched.kill()
            raise
    return Stack(launched, settings)
