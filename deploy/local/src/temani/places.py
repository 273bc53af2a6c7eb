"""Where each part of the stack listens: the usual ports, or free ones where those are taken."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from temani import layout, ports

_PORTS = {
    "gateway": 8080,
    "gateway_admin": 8019,
    "providers": 8090,
    "postgres": 15432,
    "valkey": 16379,
    "valkey_bus": 26379,
    "nats": 14222,
    "nats_monitor": 18222,
    "auth": 9101,
    "availability": 9102,
    "pairing": 9103,
    "chat": 9104,
    "sweeper": 9105,
}


@dataclass(frozen=True)
class Options:
    """What to run; a URL means that this server runs elsewhere already."""

    profile: str = "local"
    replicas: Mapping[str, int] = field(default_factory=dict)
    postgres_url: str | None = None
    valkey_url: str | None = None
    nats_url: str | None = None
    seed: bool = True
    folder: Path = layout.STATE
    # Not the usual ports but any: stacks that start at the same moment never meet.
    any_ports: bool = False


class Places:
    """Ports for everything that we start; `moved` are those that had to be replaced."""

    def __init__(self, options: Options) -> None:
        self._options = options
        wanted = {name: port for name, port in _PORTS.items() if self._is_ours(name)}
        self._ports = {name: self._choose(port) for name, port in wanted.items()}
        self.moved = {
            name: self._ports[name] for name, port in wanted.items() if self._ports[name] != port
        }

    def __getitem__(self, name: str) -> int:
        return self._ports[name]

    def replicas(self) -> dict[str, list[int]]:
        """Return the ports of each service's replicas, each ten above the one before."""
        return {service: self._replica_ports(service) for service in layout.SERVICES}

    def url(self, name: str) -> str:
        """Return the HTTP address of a port."""
        return f"http://{ports.LOOPBACK}:{self._ports[name]}"

    def _replica_ports(self, service: str) -> list[int]:
        first = self._ports[service]
        more = range(1, self._options.replicas.get(service, 1))
        return [first, *(self._choose(first + 10 * number) for number in more)]

    def _choose(self, usual: int) -> int:
        return ports.free_port() if self._options.any_ports else ports.prefer(usual)

    def _is_ours(self, name: str) -> bool:
        elsewhere = {
            "postgres": self._options.postgres_url,
            "valkey": self._options.valkey_url,
            "nats": self._options.nats_url,
        }
        return elsewhere.get(name.split("_", maxsplit=1)[0]) is None
