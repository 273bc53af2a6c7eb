"""The settings that every driver of every service runs with, and why.

The defaults of these libraries hang, lose or keep too much. Each number stands here once, is
passed on explicitly, and a test reads it back from the live object.
"""

from datetime import timedelta
from typing import Final

# --- asyncpg -------------------------------------------------------------------------------
PG_MIN_SIZE: Final = 2
PG_MAX_SIZE: Final = 10
PG_CONNECT_TIMEOUT: Final = 3.0
# With None, a query on a half-open socket hangs for ever and asyncio.timeout() cannot end it.
PG_COMMAND_TIMEOUT: Final = 3.0
# An exhausted pool answers 503 at once instead of queueing callers without end.
PG_ACQUIRE_TIMEOUT: Final = 0.5
PG_MAX_INACTIVE_LIFETIME: Final = 60.0
PG_STATEMENT_CACHE_SIZE: Final = 100
PG_CLOSE_TIMEOUT: Final = 5.0
# What every application role carries (deploy/postgres/roles.sql sets it, a test compares).
PG_ROLE_SETTINGS: Final = {
    "statement_timeout": "5s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "5s",
    "transaction_timeout": "10s",
    "synchronous_commit": "on",
    "TimeZone": "UTC",
}

# --- valkey-py -----------------------------------------------------------------------------
VALKEY_MAX_CONNECTIONS: Final = 32
VALKEY_POOL_TIMEOUT: Final = 0.1
VALKEY_SOCKET_TIMEOUT: Final = 0.15
VALKEY_CONNECT_TIMEOUT: Final = 0.15
VALKEY_READ_RETRIES: Final = 1
VALKEY_BREAKER_FAILURES: Final = 3
VALKEY_BREAKER_OPEN: Final = 2.0

# --- nats-py -------------------------------------------------------------------------------
# A finite number ends in a client that is closed for ever after a long outage.
NATS_MAX_RECONNECT_ATTEMPTS: Final = -1
NATS_PING_INTERVAL: Final = 3
NATS_MAX_OUTSTANDING_PINGS: Final = 2
NATS_CONNECT_TIMEOUT: Final = 2
NATS_DRAIN_TIMEOUT: Final = 5
# Fixed waits march a fleet back in step: the wait is drawn anew from this range each time.
NATS_RECONNECT_WAIT: Final = (0.2, 2.0)
NATS_WATCHDOG_INTERVAL: Final = 5.0
NATS_WATCHDOG_RTT: Final = 2
NATS_WATCHDOG_MISSES: Final = 3
# Negative: fail at once while disconnected. A buffered publish would arrive late and twice.
NATS_PENDING_SIZE: Final = -1
# What waits in one subscription before the client drops: a hint is worth little when late.
NATS_PENDING_MESSAGES: Final = 8192
NATS_PENDING_BYTES: Final = 8 * 1024 * 1024

# --- JetStream -----------------------------------------------------------------------------
# "old" would drop acknowledged events in silence; "new" refuses, and the outbox keeps them.
STREAM_DISCARD: Final = "new"
STREAM_STORAGE: Final = "file"
STREAM_MAX_AGE: Final = timedelta(hours=72)
STREAM_DUPLICATE_WINDOW: Final = timedelta(minutes=10)
CONSUMER_ACK_WAIT: Final = 30.0
# Given with each refusal, not in the consumer: there the first step would replace ack_wait.
CONSUMER_BACKOFF: Final = (1.0, 5.0, 30.0)
# One more than we use: at the fifth delivery we bury the message ourselves and say so.
CONSUMER_MAX_DELIVER: Final = 6
CONSUMER_BURY_AT: Final = 5
CONSUMER_MAX_ACK_PENDING: Final = 256
# A full hand, each message at its handler's limit, still ends within ack_wait.
CONSUMER_FETCH_BATCH: Final = 8
CONSUMER_WORKERS: Final = 4
# Events that are handled together: at most so many in one run of the handler, …
CONSUMER_GATHER: Final = 500
# … as many again at hand while it runs, …
CONSUMER_GATHER_HAND: Final = 2 * CONSUMER_GATHER
# … and both hands of a few replicas full.
CONSUMER_GATHER_MAX_ACK_PENDING: Final = 4 * CONSUMER_GATHER_HAND
CONSUMER_FETCH_TIMEOUT: Final = 1.0
# Under half of ack_wait, so that a slow handler never meets its own redelivery.
CONSUMER_HANDLER_TIMEOUT: Final = 12.0
PUBLISH_TIMEOUT: Final = 2.0
EVENT_MAX_BYTES: Final = 4096

# --- outbox --------------------------------------------------------------------------------
OUTBOX_POLL: Final = 0.25
OUTBOX_RELAY_AFTER: Final = timedelta(seconds=1)
OUTBOX_KEEP: Final = timedelta(hours=72)
OUTBOX_BATCH: Final = 100

# --- aiohttp -------------------------------------------------------------------------------
HTTP_KEEPALIVE_TIMEOUT: Final = 65.0
HTTP_SHUTDOWN_TIMEOUT: Final = 8.0
HTTP_CLIENT_MAX_SIZE: Final = 64 * 1024
HTTP_BODY_TIMEOUT: Final = 10.0
WS_HEARTBEAT: Final = 15.0
WS_MAX_MESSAGE_SIZE: Final = 16 * 1024
WS_COMPRESS: Final = False
WS_QUEUE_FRAMES: Final = 256
WS_QUEUE_BYTES: Final = 256 * 1024
WS_SEND_TIMEOUT: Final = 5.0

# --- the process ---------------------------------------------------------------------------
EXIT_WITHIN: Final = 10.0
