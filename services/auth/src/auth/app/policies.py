"""From the environment's settings to the values that the domain decides with."""

from collections.abc import Mapping
from datetime import timedelta

from auth.domain.logins import Lifetime, RefreshPolicy
from auth.domain.otp import Channel, OtpPolicy
from auth.domain.passwords import LockoutPolicy, PasswordPolicy
from auth.domain.people import Role
from auth.handlers.limits import Limits
from auth.settings import Settings


def limits(settings: Settings) -> Limits:
    """Return the limits that hold until an operator edits them."""
    return Limits(
        otp=OtpPolicy(
            life_seconds=settings.otp_life_seconds,
            tries=settings.otp_tries,
            resend_waits_seconds=settings.otp_resend_waits_seconds,
            sends_per_phone_hour=settings.otp_sends_per_phone_hour,
            sends_per_phone_day=settings.otp_sends_per_phone_day,
            sends_per_address_hour=settings.otp_sends_per_address_hour,
            phones_per_address_hour=settings.otp_phones_per_address_hour,
            sends_per_minute=settings.otp_sends_per_minute,
            wrong_per_phone_day=settings.otp_wrong_per_phone_day,
            wrong_per_address_hour=settings.otp_wrong_per_address_hour,
        ),
        lockout=LockoutPolicy(
            tries=settings.lockout_tries,
            first_wait_seconds=settings.lockout_first_wait_seconds,
            longest_wait_seconds=settings.lockout_longest_wait_seconds,
            forget_after_seconds=settings.lockout_forget_after_seconds,
        ),
    )


def lifetimes(settings: Settings) -> Mapping[Role, Lifetime]:
    """Return how long logins live, by role."""
    access = timedelta(seconds=settings.access_seconds)
    return {
        "customer": Lifetime(
            access=access,
            idle=timedelta(days=settings.customer_idle_days),
            absolute=timedelta(days=settings.customer_absolute_days),
            cap=settings.customer_logins,
        ),
        "mitra": Lifetime(
            access=access,
            idle=timedelta(days=settings.mitra_idle_days),
            absolute=timedelta(days=settings.mitra_absolute_days),
            cap=settings.mitra_logins,
        ),
        "operator": Lifetime(
            access=timedelta(seconds=settings.control_access_seconds),
            idle=timedelta(minutes=settings.operator_idle_minutes),
            absolute=timedelta(hours=settings.operator_absolute_hours),
            cap=settings.operator_logins,
        ),
    }


def refresh_policy(settings: Settings) -> RefreshPolicy:
    """Return how long a rotated refresh token is answered with the same child."""
    return RefreshPolicy(
        grace=timedelta(seconds=settings.refresh_grace_seconds),
        unseen_grace=timedelta(hours=settings.refresh_unseen_hours),
    )


def password_policy(settings: Settings) -> PasswordPolicy:
    """Return what a password must be like."""
    return PasswordPolicy(
        shortest=settings.password_shortest,
        least_score=settings.password_least_score,
        least_classes=settings.password_least_classes,
    )


def gateway_keys(settings: Settings) -> Mapping[Channel, str]:
    """Return the provider's gateway of each channel."""
    one = settings.otp_gateway_key
    return {
        "whatsapp": one.get_secret_value(),
        "sms": (settings.otp_sms_gateway_key or one).get_secret_value(),
        "missed_call": (settings.otp_missed_call_gateway_key or one).get_secret_value(),
    }
