"""What an operator may set; every field has a default that works."""

from pydantic import Field

from mirror.settings import MirrorSettings


class Settings(MirrorSettings):
    """Settings of availability; all durations in seconds."""

    http_port: int = 9102
    tick_seconds: float = Field(default=5, gt=0, le=60)
