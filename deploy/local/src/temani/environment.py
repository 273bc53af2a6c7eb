"""The environment of each process: upper-case variables; secrets go only where they are needed."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from temani import postgres_setup
from temani.keys import Keys
from temani.ports import LOOPBACK
from temani.profiles import Profile


@dataclass(frozen=True)
class Addresses:
    """Where everything is."""

    gateway_port: int
    providers_port: int
    postgres_admin_url: str
    valkey_url: str
    nats_url: str
    service_ports: dict[str, list[int]]

    @property
    def gateway_url(self) -> str:
        """The one address for apps."""
        return f"http://{LOOPBACK}:{self.gateway_port}"

    @property
    def providers_url(self) -> str:
        """The simulated providers."""
        return f"http://{LOOPBACK}:{self.providers_port}"


def replica_name(service: str, number: int) -> str:
    """Return the name of the n-th replica, from 0: auth, auth-2, auth-3."""
    return service if number == 0 else f"{service}-{number + 1}"


def for_service(
    service: str, number: int, *, addresses: Addresses, keys: Keys, profile: Profile
) -> dict[str, str]:
    """Return the whole environment of one replica.

    Settings in the caller's own environment beat the profile's; addresses and keys are ours.
    """
    return {
        **profile.settings,
        **os.environ,
        **_common(service, addresses, keys),
        "HTTP_PORT": str(addresses.service_ports[service][number]),
        "REPLICA": replica_name(service, number),
        **_own(service, addresses, keys),
    }


def for_providers(addresses: Addresses, keys: Keys, orders_file: Path) -> dict[str, str]:
    """Return the environment of the simulated providers."""
    return {
        **os.environ,
        "ENVIRONMENT": "local",
        "HTTP_HOST": LOOPBACK,
        "HTTP_PORT": str(addresses.providers_port),
        "PUBLIC_URL": addresses.providers_url,
        "OTP_MERCHANT_KEY": keys.otp_merchant_key,
        "PAYMENT_SERVER_KEY": keys.payment_server_key,
        "NOTIFICATION_URL": f"{addresses.gateway_url}/api/payments/midtrans/notification",
        "ORDERS_FILE": str(orders_file),
    }


def migrate_url(service: str, admin_url: str, keys: Keys) -> str:
    """Return the address with which a service's migrations run."""
    role = f"{service}_migrate"
    return postgres_setup.role_url(admin_url, role=role, password=keys.postgres_passwords[role])


def module(name: str) -> list[str]:
    """Return the command that runs a Python module with this interpreter."""
    return [sys.executable, "-m", name]


def _common(service: str, addresses: Addresses, keys: Keys) -> dict[str, str]:
    auth_port = addresses.service_ports["auth"][0]
    return {
        "HTTP_HOST": LOOPBACK,
        "DATABASE_URL": postgres_setup.role_url(
            addresses.postgres_admin_url, role=service, password=keys.postgres_passwords[service]
        ),
        "MIGRATE_DATABASE_URL": migrate_url(service, addresses.postgres_admin_url, keys),
        "VALKEY_URL": addresses.valkey_url,
        "NATS_URL": addresses.nats_url,
        "JWKS_URL": f"http://{LOOPBACK}:{auth_port}/.well-known/jwks.json",
        "TOKEN_ALGORITHM": "ES256",
        "LOG_FORMAT": "json",
        "ENVIRONMENT": "local",
        "TRUSTED_HOPS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _own(service: str, addresses: Addresses, keys: Keys) -> dict[str, str]:
    providers = addresses.providers_url
    if service == "auth":
        return {
            "SIGNING_KEY_FILE": str(keys.signing_key_file),
            "REFRESH_SECRET_FILE": str(keys.refresh_secret_file),
            "OTP_PROVIDER_URL": f"{providers}/fazpass",
            "OTP_MERCHANT_KEY": keys.otp_merchant_key,
            "OTP_GATEWAY_KEY": keys.otp_gateway_keys["whatsapp"],
            "OTP_SMS_GATEWAY_KEY": keys.otp_gateway_keys["sms"],
            "OTP_MISSED_CALL_GATEWAY_KEY": keys.otp_gateway_keys["missed_call"],
        }
    if service == "chat":
        return {
            "PAYMENT_SNAP_URL": f"{providers}/midtrans/snap/v1",
            "PAYMENT_API_URL": f"{providers}/midtrans/v2",
            "PAYMENT_SERVER_KEY": keys.payment_server_key,
        }
    return {}
