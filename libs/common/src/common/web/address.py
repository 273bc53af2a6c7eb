"""Which address a request came from, when gateways stand in between."""

import ipaddress

from aiohttp import web

TRUSTED_HOPS = web.AppKey("trusted_hops", int)


def client_ip(request: web.Request) -> str:
    """Return the client's address: so many entries from the right of X-Forwarded-For.

    Everything further left was written by the client itself and is believed by nobody.
    """
    trusted_hops = request.app[TRUSTED_HOPS]
    peer = request.remote or "unknown"
    if trusted_hops == 0:
        return peer
    entries = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
    candidates = [entry.strip() for entry in entries if entry.strip()]
    if not candidates:
        return peer
    chosen = candidates[-min(trusted_hops, len(candidates))]
    try:
        return str(ipaddress.ip_address(chosen.strip("[]")))
    except ValueError:
        return peer
