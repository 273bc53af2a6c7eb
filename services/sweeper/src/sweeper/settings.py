"""What an operator may set; every field has a default that works."""

from pydantic import Field

from mirror.settings import MirrorSettings


class Settings(MirrorSettings):
    """Settings of the sweeper; all durations in seconds."""

    http_port: int = 9105
    mitra_auto_offline_sweep_seconds: float = Field(default=30, gt=0, le=3600)
    valkey_online_mirror_sweep_seconds: float = Field(default=300, gt=0, le=86_400)
    due_sweep_seconds: float = Field(default=0.5, ge=0.1, le=60)
    retention_sweep_seconds: float = Field(default=3600, gt=0, le=86_400)
    lease_seconds: float = Field(default=5, ge=1, le=60)

    due_shards: int = Field(default=2, ge=1, le=64)
    flush_shards: int = Field(default=2, ge=1, le=64)
    due_batch: int = Field(default=500, ge=1, le=5000)
    settle_batch: int = Field(default=50, ge=1, le=1000)
    flush_batch: int = Field(default=5000, ge=1, le=20_000)
    command_timeout_seconds: float = Field(default=3, gt=0, le=30)
    report_seconds: float = Field(default=5, ge=0, le=3600)
    runs_keep_seconds: float = Field(default=7 * 86_400, gt=0)
