"""The limits that each service with a mirror is given: the same ones, checked the same way."""

from typing import Final, Self

from pydantic import Field, model_validator

from common.settings import ServiceSettings

# Between a beat's arrival and its row in Postgres: one late round trip and one busy moment.
_SLACK_SECONDS: Final = 5.0


class MirrorSettings(ServiceSettings):
    """How often a mitra beats, how old a beat may be, and how late it comes to Postgres."""

    heartbeat_seconds: float = Field(default=20, gt=0, le=600)
    # An offer goes only to a mitra whose last heartbeat is younger than this.
    fresh_limit_seconds: float = Field(default=45, gt=0, le=3600)
    auto_offline_seconds: float = Field(default=75, gt=0, le=7200)
    heartbeat_mirror_interval_seconds: float = Field(default=15, gt=0, le=600)

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        flush = self.heartbeat_mirror_interval_seconds
        if flush + self.heartbeat_seconds + _SLACK_SECONDS > self.fresh_limit_seconds:
            raise ValueError(
                "FRESH_LIMIT_SECONDS must be at least HEARTBEAT_SECONDS + "
                "HEARTBEAT_MIRROR_INTERVAL_SECONDS + 5, or Postgres would call living mitras stale"
            )
        if self.auto_offline_seconds <= self.fresh_limit_seconds + flush:
            raise ValueError(
                "AUTO_OFFLINE_SECONDS must exceed FRESH_LIMIT_SECONDS + "
                "HEARTBEAT_MIRROR_INTERVAL_SECONDS, or a late flush could cost someone her place"
            )
        return self
