"""Where a request came from, in the form in which it is compared, kept and shown."""

import hashlib
import ipaddress
from dataclasses import dataclass
from uuid import UUID

_LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True)
class Origin:
    """The other end of a request."""

    address: str
    user_agent: str
    request_id: str

    @classmethod
    def of(cls, *, address: str, user_agent: str, request_id: str) -> "Origin":
        """Build from raw request data; whatever could forge a line of a log is replaced."""
        agent = "".join(c if c.isprintable() else " " for c in user_agent)[:_LONGEST_AGENT]
        return cls(address_key(address), agent, request_id[:100])

    @property
    def network(self) -> str:
        """Return the neighbourhood of the address, which is all a list of logins shows."""
        try:
            address = ipaddress.ip_network(self.address, strict=False)
        except ValueError:
            return ""
        if address.version == 6:
            return str(address.supernet(new_prefix=48))
        return str(address.supernet(new_prefix=24))


@dataclass(frozen=True, slots=True)
class Actor:
    """A signed-in person, as her access token names her."""

    user_id: UUID
    role: str
    login_id: UUID


def address_key(address: str) -> str:
    """Return what limits count: an IPv4 address, or the /64 that one IPv6 customer is given."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def device_key(device_id: str) -> bytes:
    """Return the digest under which a device is remembered."""
    return hashlib.sha256(b"temani device\x00" + device_id.encode()).digest()
