"""What an operator may set; every field has a default that works."""

from typing import Self

from pydantic import Field, model_validator

from common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the sweeper; all durations in seconds."""

    http_port: int = 9105
    mitra_auto_offline_sweep_seconds: float = Field(default=30, gt=0, le=3600)
    heartbeat_mirror_interval_seconds: float = Field(default=15, gt=0, le=600)
    valkey_online_mirror_sweep_seconds: float = Field(default=300, gt=0, le=86_400)
    due_sweep_seconds: float = Field(default=0.5, ge=0.1, le=60)
    retention_sweep_seconds: float = Field(default=3600, gt=0, le=86_400)
    lease_seconds: float = Field(default=5, ge=1, le=60)

    heartbeat_seconds: float = Field(default=20, gt=0)
    fresh_limit_seconds: float = Field(default=45, gt=0)
    auto_offline_seconds: float = Field(default=75, gt=0)

    due_shards: int = Field(default=2, ge=1, le=64)
    flush_shards: int = Field(default=2, ge=1, le=64)
    due_batch: int = Field(default=500, ge=1, le=5000)
    settle_batch: int = Field(default=50, ge=1, le=1000)
    flush_batch: int = Field(default=5000, ge=1, le=20_000)
    command_timeout_seconds: float = Field(default=3, gt=0, le=30)
    report_seconds: float = Field(default=5, ge=0, le=3600)
    runs_keep_seconds: float = Field(default=7 * 86_400, gt=0)

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        if self.auto_offline_seconds <= (
            self.fresh_limit_seconds + self.heartbeat_mirror_interval_seconds
        ):
            raise ValueError(
                "AUTO_OFFLINE_SECONDS must exceed FRESH_LIMIT_SECONDS + "
                "HEARTBEAT_MIRROR_INTERVAL_SECONDS, or a late flush could cost someone her place"
            )
        return self
