"""The gateway: Caddy with the repository's own Caddyfile."""

import os
from collections.abc import Mapping
from pathlib import Path

from temani import binaries, layout
from temani.ports import LOOPBACK
from temani.program import Program

CADDYFILE = layout.DEPLOY / "gateway" / "Caddyfile"
SITE = layout.DEPLOY / "gateway" / "site"
CONTROL = layout.ROOT / "web" / "control"
PUBLIC_SERVICES = ("auth", "availability", "pairing", "chat")


def environment(
    *, port: int, admin_port: int, upstreams: Mapping[str, list[int]], home: Path
) -> dict[str, str]:
    """Return what the Caddyfile asks for; `upstreams` are the ports of each service's replicas."""
    lists = {
        f"{service.upper()}_UPSTREAMS": " ".join(f"{LOOPBACK}:{port}" for port in ports)
        for service, ports in upstreams.items()
        if service in PUBLIC_SERVICES
    }
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),  # where Caddy would keep its own data
        "GATEWAY_BIND": LOOPBACK,
        "GATEWAY_PORT": str(port),
        "GATEWAY_ADMIN": f"{LOOPBACK}:{admin_port}",
        "GATEWAY_SITE": str(SITE),
        "GATEWAY_CONTROL": str(CONTROL),
        **lists,
    }


def command(verb: str = "run") -> list[str]:
    """Return the command line that runs or validates the Caddyfile."""
    return [str(binaries.caddy()), verb, "--adapter", "caddyfile", "--config", str(CADDYFILE)]


def program(*, env: Mapping[str, str], port: int, log: Path, home: Path) -> Program:
    """Return the gateway, ready when it serves its own page."""
    return Program("gateway", command(), env=env, port=port, log=log, cwd=home, ready_path="/")
