"""Settings: frozen, typed, read once from the environment, with a usable default or no start."""

import os
import socket
import sys
from collections.abc import Callable
from typing import Annotated, Literal, TypeVar
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from common import baseline
from common.limits import RateLimits

_HELPLESS = 2


def _replica() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class ServiceSettings(BaseSettings):
    """What every service is told by its environment; each field is an upper-case variable."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    database_url: str = "postgresql://127.0.0.1:15432/temani"
    migrate_database_url: str | None = None
    database_pool_min: Annotated[int, Field(ge=1)] = baseline.PG_MIN_SIZE
    database_pool_max: Annotated[int, Field(ge=1)] = baseline.PG_MAX_SIZE
    # 0 behind a PgBouncer that knows no prepared statements.
    statement_cache_size: Annotated[int, Field(ge=0)] = baseline.PG_STATEMENT_CACHE_SIZE
    valkey_url: str | None = "valkey://127.0.0.1:16379/0"
    nats_url: str = "nats://127.0.0.1:14222"
    jwks_url: str = "http://127.0.0.1:9101/.well-known/jwks.json"
    token_algorithm: Literal["ES256", "HS256"] = "ES256"  # noqa: S105 - a name
    token_secret: SecretStr | None = None
    replica: Annotated[str, Field(min_length=1)] = Field(default_factory=_replica)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console", "auto"] = "auto"
    environment: Literal["local", "test", "production"] = "local"
    # asyncio: the standard library's own, slower, to tell a fault of uvloop from one of ours.
    event_loop: Literal["uvloop", "asyncio"] = "uvloop"
    trusted_hops: Annotated[int, Field(ge=0, le=8)] = 1
    # Who may open sockets from a browser; empty: only pages of the same host.
    allowed_origins: tuple[str, ...] = ()
    # For example {"read":{"per_second":50,"burst":100}}; what is left out keeps its default.
    rate_limits: RateLimits = RateLimits()

    @field_validator("valkey_url")
    @classmethod
    def _is_first_database(cls, url: str | None) -> str | None:
        # The mirror's keys lie in database 0 whatever is asked for: a cluster has no other.
        parts = urlsplit(url or "")
        if {parts.path.strip("/"), *parse_qs(parts.query).get("db", ())} - {"", "0"}:
            raise ValueError(
                "only database 0 is used, so two stacks on one server would share one mirror: "
                "give each stack a Valkey of its own, and end its address with /0"
            )
        return url


S = TypeVar("S", bound=ServiceSettings)


def load_settings(cls: Callable[[], S]) -> S:
    """Read the settings, or say on stderr which variables are wrong and exit with 2."""
    try:
        return cls()
    except ValidationError as error:
        sys.stderr.write(explain(error))
        raise SystemExit(_HELPLESS) from None


def explain(error: ValidationError) -> str:
    """Name each wrong variable and why; never its value, which may be a secret."""
    lines = ["These settings are wrong:"]
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        name = "_".join(str(part) for part in detail["loc"]).upper() or "(together)"
        lines.append(f"  {name}: {detail['msg']}")
    return "\n".join(lines) + "\n"
