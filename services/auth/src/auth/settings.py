"""What auth is told by its environment; units are in the names."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from common.settings import ServiceSettings

Days = Annotated[float, Field(gt=0, le=3660)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class Settings(ServiceSettings):
    """Keys, the provider of codes, how long things live, and how often they may be asked for.

    The OTP and lockout limits are defaults: operators may edit them while auth runs.
    """

    http_port: Annotated[int, Field(ge=0, le=65535)] = 9101
    # EC P-256 private key, PEM; needed for ES256.
    signing_key_file: Path | None = None
    # Public keys that are published too: the next one, and the last one until its tokens are gone.
    extra_key_files: Annotated[tuple[Path, ...], NoDecode] = ()
    # 32 bytes or more: the root of refresh tokens and one-time codes.
    refresh_secret_file: Path = Path("refresh.secret")
    # The root before the last change: its refresh tokens are still read.
    previous_refresh_secret_file: Path | None = None

    access_seconds: Annotated[int, Field(ge=30, le=900)] = 600
    control_access_seconds: Annotated[int, Field(ge=30, le=900)] = 300
    customer_idle_days: Days = 30
    customer_absolute_days: Days = 90
    customer_logins: Count = 10
    mitra_idle_days: Days = 14
    mitra_absolute_days: Days = 30
    mitra_logins: Count = 3
    operator_idle_minutes: Annotated[float, Field(gt=0, le=1440)] = 30
    operator_absolute_hours: Annotated[float, Field(gt=0, le=168)] = 12
    operator_logins: Count = 2
    refresh_grace_seconds: Annotated[float, Field(ge=0, le=300)] = 30
    refresh_unseen_hours: Annotated[float, Field(ge=0, le=72)] = 24

    otp_provider_url: HttpUrl = HttpUrl("https://api.fazpass.com")
    otp_merchant_key: SecretStr = SecretStr("")
    # The gateway decides the channel at the provider; one for all, or one for each.
    otp_gateway_key: SecretStr = SecretStr("")
    otp_sms_gateway_key: SecretStr | None = None
    otp_missed_call_gateway_key: SecretStr | None = None
    otp_provider_timeout_seconds: Annotated[float, Field(gt=0, le=10)] = 5
    phone_regions: Annotated[tuple[str, ...], Field(min_length=1), NoDecode] = ("ID",)

    otp_life_seconds: Annotated[int, Field(ge=30, le=600)] = 300
    otp_tries: Annotated[int, Field(ge=1, le=10)] = 5
    otp_resend_waits_seconds: Annotated[
        tuple[Annotated[int, Field(ge=1, le=3600)], ...], NoDecode
    ] = (60, 120, 300, 900)
    otp_sends_per_phone_hour: Annotated[int, Field(ge=1, le=100)] = 5
    otp_sends_per_phone_day: Annotated[int, Field(ge=1, le=500)] = 10
    otp_sends_per_address_hour: Annotated[int, Field(ge=1, le=10_000)] = 10
    otp_phones_per_address_hour: Annotated[int, Field(ge=1, le=10_000)] = 5
    otp_sends_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 60
    otp_wrong_per_phone_day: Annotated[int, Field(ge=1, le=1000)] = 15
    otp_wrong_per_address_hour: Annotated[int, Field(ge=1, le=10_000)] = 30

    lockout_tries: Annotated[int, Field(ge=1, le=20)] = 5
    lockout_first_wait_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    lockout_longest_wait_seconds: Annotated[int, Field(ge=1, le=86_400)] = 900
    lockout_forget_after_seconds: Annotated[int, Field(ge=60, le=604_800)] = 43_200

    password_shortest: Annotated[int, Field(ge=8, le=64)] = 15
    password_least_score: Annotated[int, Field(ge=0, le=4)] = 3
    password_least_classes: Annotated[int, Field(ge=0, le=4)] = 0
    password_threads: Annotated[int, Field(ge=1, le=8)] = 2
    password_queue: Annotated[int, Field(ge=1, le=200)] = 20

    tick_seconds: Annotated[float, Field(gt=0, le=3600)] = 60
    revoked_keys_seconds: Annotated[float, Field(gt=0, le=10)] = 5
    audit_people_days: Annotated[int, Field(ge=1, le=3660)] = 90
    audit_control_days: Annotated[int, Field(ge=1, le=3660)] = 400

    @field_validator("extra_key_files", "phone_regions", "otp_resend_waits_seconds", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Read a list as the environment writes it: 60,120,300."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        es256 = self.token_algorithm == "ES256"  # noqa: S105 - the name of an algorithm
        if es256 and self.signing_key_file is None:
            raise ValueError("SIGNING_KEY_FILE is needed with TOKEN_ALGORITHM=ES256")
        if not es256 and self.token_secret is None:
            raise ValueError("TOKEN_SECRET is needed with TOKEN_ALGORITHM=HS256")
        if self.lockout_first_wait_seconds > self.lockout_longest_wait_seconds:
            raise ValueError("LOCKOUT_FIRST_WAIT_SECONDS must not exceed the longest wait")
        if not self.otp_resend_waits_seconds:
            raise ValueError("OTP_RESEND_WAITS_SECONDS must not be empty")
        return self
