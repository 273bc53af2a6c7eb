"""Real data servers, started and stopped by the launcher and by tests."""

from temani.servers.base import Server, StartFailed
from temani.servers.nats import Nats
from temani.servers.postgres import Postgres
from temani.servers.valkey import Valkey

__all__ = ["Nats", "Postgres", "Server", "StartFailed", "Valkey"]
