"""The stack that runs here, as other commands need it: addresses, secrets, environments."""

import urllib.parse
from dataclasses import dataclass

from temani import environment, keys, layout, postgres_setup, profiles, state


@dataclass(frozen=True)
class Running:
    """A running stack and what it was started with."""

    state: state.State
    keys: keys.Keys
    addresses: environment.Addresses

    def service_environment(self, service: str) -> dict[str, str]:
        """Return the environment of the service's first replica."""
        return environment.for_service(
            service,
            0,
            addresses=self.addresses,
            keys=self.keys,
            profile=profiles.load(self.state.profile),
        )


def find() -> Running:
    """Return the stack that runs here, or raise NotRunning."""
    now = state.load()
    return Running(
        state=now,
        keys=keys.load(layout.STATE / "secrets"),
        addresses=environment.Addresses(
            gateway_port=_port(now.urls["gateway"]),
            providers_port=_port(now.urls["providers"]),
            postgres_admin_url=postgres_setup.database_url(now.urls["postgres_admin"], "postgres"),
            valkey_url=now.urls["valkey"],
            nats_url=now.urls["nats"],
            service_ports={
                service: [_port(url) for url in urls] for service, urls in now.replicas.items()
            },
        ),
    )


def _port(url: str) -> int:
    port = urllib.parse.urlsplit(url).port
    assert port is not None
    return port
