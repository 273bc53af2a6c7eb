"""What auth reads from and shows to clients."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

Role = Literal["customer", "mitra", "operator"]
Channel = Literal["whatsapp", "sms", "missed_call"]


def _named(text: str) -> str:
    """Return a name without control characters and needless blanks; NUL is no slip of the hand."""
    if "\x00" in text:
        raise ValueError("a name holds no NUL")
    cleaned = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not cleaned:
        raise ValueError("a name needs a visible character")
    return cleaned


DeviceId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$"),
    Field(description="Chosen once by the app installation; tokens work only together with it"),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80), AfterValidator(_named)]
PhoneText = Annotated[str, StringConstraints(min_length=3, max_length=32)]
RefreshText = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(frozen=True)


class OtpRequestBody(Body):
    """Ask for a one-time code."""

    phone: PhoneText
    role: Literal["customer", "mitra"]
    channel: Channel | None = Field(
        None, description="Absent: WhatsApp, and SMS if that cannot be sent"
    )
    device_id: DeviceId


class OtpResendBody(Body):
    """Ask for the code again."""

    challenge_id: UUID
    channel: Channel | None = None
    device_id: DeviceId


class OtpVerifyBody(Body):
    """Type the code in."""

    challenge_id: UUID
    phone: PhoneText
    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
    device_id: DeviceId
    device_name: Annotated[str, StringConstraints(max_length=80)] | None = None


class ChallengeView(BaseModel):
    """A code is on its way, if somebody may sign in with this phone."""

    challenge_id: UUID
    expires_at: datetime
    resend_after_seconds: int
    channel: Channel
    code_length: int


class UserView(BaseModel):
    """Who is signed in."""

    user_id: UUID
    role: Role
    display_name: str


class TokensView(BaseModel):
    """An access token and what to renew it with; lives are in seconds from now."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a scheme's name
    expires_in: int
    refresh_token: str
    refresh_expires_in: int
    server_time: datetime
    user: UserView


class RefreshBody(Body):
    """Renew."""

    refresh_token: RefreshText
    device_id: DeviceId


class LogoutBody(Body):
    """Sign out: this login, my other ones, or all."""

    scope: Literal["local", "others", "all"] = "local"


class LoginView(BaseModel):
    """One of my logins."""

    login_id: UUID
    device_name: str | None
    network: str
    user_agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    is_current: bool


class LoginsView(BaseModel):
    """My logins, newest first."""

    logins: list[LoginView]


class MeBody(Body):
    """Change what I am called."""

    display_name: Name


class PasswordBody(Body):
    """Sign in as an operator."""

    email: Annotated[str, StringConstraints(min_length=1, max_length=254)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    device_id: DeviceId
    device_name: Annotated[str, StringConstraints(max_length=80)] | None = None


class MitraBody(Body):
    """Make a mitra."""

    phone: PhoneText
    display_name: Name
    capacity: Annotated[int, Field(ge=1, le=20)] = 3


class MitraSwitchBody(Body):
    """Switch a mitra off or on."""

    is_active: bool
    reason: Annotated[str, StringConstraints(max_length=500)] | None = None


class MitraView(BaseModel):
    """A mitra as operators see her."""

    mitra_id: UUID
    display_name: str
    phone_masked: str
    is_active: bool
    version: int
    created_at: datetime


class AuditView(BaseModel):
    """One act."""

    audit_id: UUID
    at: datetime
    action: str
    actor_role: str | None
    actor_id: UUID | None
    subject_id: UUID | None
    login_id: UUID | None
    phone_masked: str | None
    address: str | None
    user_agent: str | None
    request_id: str | None
    detail: dict[str, object]


class OtpLimits(Body):
    """Limits of one-time codes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    life_seconds: Annotated[int, Field(ge=30, le=600)]
    tries: Annotated[int, Field(ge=1, le=10)]
    resend_waits_seconds: Annotated[
        tuple[Annotated[int, Field(ge=1, le=3600)], ...], Field(min_length=1, max_length=10)
    ]
    sends_per_phone_hour: Annotated[int, Field(ge=1, le=100)]
    sends_per_phone_day: Annotated[int, Field(ge=1, le=500)]
    sends_per_address_hour: Annotated[int, Field(ge=1, le=10_000)]
    phones_per_address_hour: Annotated[int, Field(ge=1, le=10_000)]
    sends_per_minute: Annotated[int, Field(ge=1, le=100_000)]
    wrong_per_phone_day: Annotated[int, Field(ge=1, le=1000)]
    wrong_per_address_hour: Annotated[int, Field(ge=1, le=10_000)]

    @model_validator(mode="after")
    def _waits_grow(self) -> Self:
        if list(self.resend_waits_seconds) != sorted(self.resend_waits_seconds):
            raise ValueError("resend_waits_seconds must not get shorter")
        return self


class LockoutLimits(Body):
    """Waiting after wrong passwords."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tries: Annotated[int, Field(ge=1, le=20)]
    first_wait_seconds: Annotated[int, Field(ge=1, le=3600)]
    longest_wait_seconds: Annotated[int, Field(ge=1, le=86_400)]
    forget_after_seconds: Annotated[int, Field(ge=60, le=604_800)]

    @model_validator(mode="after")
    def _waits_grow(self) -> Self:
        if self.first_wait_seconds > self.longest_wait_seconds:
            raise ValueError("first_wait_seconds must not exceed longest_wait_seconds")
        return self


class SettingsBody(Body):
    """New settings; `version` is the one that was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[int, Field(ge=0)]
    otp: OtpLimits
    lockout: LockoutLimits


class SettingsView(BaseModel):
    """The settings as they work now; version 0 means that nobody edited them."""

    version: int
    otp: OtpLimits
    lockout: LockoutLimits
    updated_at: datetime | None


class JwksView(BaseModel):
    """The public keys of access tokens."""

    keys: list[dict[str, str]]


class Settled(BaseModel):
    """How many rows a settle command settled."""

    settled: int
