"""The numbers that keep one socket from hurting the others."""

from dataclasses import dataclass

from common import baseline


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What a connection may hold and how long things may take, in seconds and bytes."""

    auth_seconds: float = 10.0
    per_user: int = 5
    # Opening costs a full state each time: this often at once, then one a second.
    opens_per_user: int = 30
    most_unauthenticated: int = 2000
    # So that no single address can take all of those places; many phones share one address.
    most_unauthenticated_per_address: int = 200
    heartbeat_seconds: float = baseline.WS_HEARTBEAT
    message_bytes: int = baseline.WS_MAX_MESSAGE_SIZE
    # Up to this a large frame is read and refused with 1009; beyond it the reading itself stops,
    # and a client that is still sending may see a reset instead of the code.
    hard_message_bytes: int = 4 * baseline.WS_MAX_MESSAGE_SIZE
    queue_frames: int = baseline.WS_QUEUE_FRAMES
    queue_bytes: int = baseline.WS_QUEUE_BYTES
    send_seconds: float = baseline.WS_SEND_TIMEOUT
    close_seconds: float = 2.0
    # More than this in ten seconds is no person typing.
    messages: int = 100
    messages_seconds: float = 10.0
    expiring_seconds: float = 60.0
    # Closed at the latest 25 s after expiry: the pass once a second and the close fit in between.
    expired_seconds: float = 20.0
    restart_spread_ms: int = 10_000


class CloseCode:
    """Why a connection ends."""

    UNSUPPORTED = 1003
    # Never sent: nobody is there to read it.
    SILENT = 1006
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    TRY_AGAIN = 1013
    EXPIRED = 4401
    REVOKED = 4403
    AUTH_TIMEOUT = 4408
    TOO_MANY = 4429
