"""What chat is told by its environment; units are in the names."""

from typing import Annotated, Self

from pydantic import AnyHttpUrl, Field, SecretStr, model_validator

from mirror.settings import MirrorSettings

Seconds = Annotated[float, Field(gt=0, le=86400)]


class Settings(MirrorSettings):
    """How long each step may take, and who takes the money."""

    http_port: Annotated[int, Field(ge=0, le=65535)] = 9104
    payment_snap_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8090/midtrans/snap/v1")
    payment_api_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8090/midtrans/v2")
    payment_server_key: SecretStr
    payment_timeout_seconds: Seconds = 5
    payment_hold_seconds: Seconds = 120
    show_up_seconds: Seconds = 60
    # A silence is longer than this plus HEARTBEAT_SECONDS.
    lost_seconds: Seconds = 30
    warnings_seconds: str = "300,60,10"
    extension_answer_seconds: Seconds = 60
    expired_window_seconds: Seconds = 300
    closing_grace_seconds: Seconds = 300
    tick_seconds: Seconds = 5
    # How often to look for payments to ask about and refunds to make.
    payment_sweep_seconds: Seconds = 2
    default_capacity: Annotated[int, Field(ge=1, le=20)] = 3

    @property
    def warnings(self) -> tuple[int, ...]:
        """The seconds before the end at which both sides are warned, longest first."""
        return tuple(sorted({int(part) for part in self.warnings_seconds.split(",")}, reverse=True))

    @model_validator(mode="after")
    def _warnings_are_seconds(self) -> Self:
        try:
            warnings = self.warnings
        except ValueError:
            raise ValueError("WARNINGS_SECONDS are whole seconds, as 300,60,10") from None
        if not warnings or min(warnings) < 1:
            raise ValueError("WARNINGS_SECONDS must be positive")
        return self
