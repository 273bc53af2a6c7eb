"""The product's limits stretched: what it gives up on within seconds, tests wait for."""

import pytest

from common import baseline

POSTGRES = ("PG_CONNECT_TIMEOUT", "PG_COMMAND_TIMEOUT", "PG_ACQUIRE_TIMEOUT")
VALKEY = ("VALKEY_CONNECT_TIMEOUT", "VALKEY_SOCKET_TIMEOUT")
NATS = ("NATS_CONNECT_TIMEOUT", "NATS_WATCHDOG_RTT", "PUBLISH_TIMEOUT", "CONSUMER_HANDLER_TIMEOUT")
SECONDS = 20


def stretch(monkeypatch: pytest.MonkeyPatch, *limits: str, seconds: float = SECONDS) -> None:
    """Set these limits of common.baseline for one test: a busy machine is no fault.

    Whoever tests such a limit sets it.
    """
    for name in limits:
        monkeypatch.setattr(baseline, name, seconds)
