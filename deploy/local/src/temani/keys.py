"""Keys and secrets of the local stack: made on the first run, kept in .temani/secrets (0600)."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from temani import postgres_setup

CHANNELS = ("whatsapp", "sms", "missed_call")
OPERATOR_EMAIL = "operator@temani.test"


@dataclass(frozen=True)
class Keys:
    """All secrets; files are for what services read from files."""

    signing_key_file: Path
    refresh_secret_file: Path
    postgres_passwords: dict[str, str]
    otp_merchant_key: str
    otp_gateway_keys: dict[str, str]  # by channel
    payment_server_key: str
    operator_email: str
    operator_password: str


def load(folder: Path) -> Keys:
    """Read the secrets, making whatever is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    signing_key, refresh_secret = folder / "signing-key.pem", folder / "refresh-secret"
    if not signing_key.exists():
        _write(signing_key, _new_signing_key())
    if not refresh_secret.exists():
        _write(refresh_secret, secrets.token_hex(32).encode())
    values = _values(folder / "secrets.json")
    return Keys(
        signing_key_file=signing_key,
        refresh_secret_file=refresh_secret,
        postgres_passwords={
            role: values[f"postgres:{role}"] for role in postgres_setup.login_roles()
        },
        otp_merchant_key=values["otp_merchant_key"],
        otp_gateway_keys={channel: values[f"otp_gateway_key:{channel}"] for channel in CHANNELS},
        payment_server_key=values["payment_server_key"],
        operator_email=values["operator_email"],
        operator_password=values["operator_password"],
    )


def _values(file: Path) -> dict[str, str]:
    kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    wanted = {
        **{f"postgres:{role}": secrets.token_hex(16) for role in postgres_setup.login_roles()},
        "otp_merchant_key": f"merchant-{secrets.token_hex(16)}",
        **{
            f"otp_gateway_key:{channel}": f"gateway-{channel}-{secrets.token_hex(8)}"
            for channel in CHANNELS
        },
        "payment_server_key": f"SB-Mid-server-{secrets.token_hex(16)}",
        "operator_email": OPERATOR_EMAIL,
        "operator_password": secrets.token_urlsafe(15),
    }
    values = {**wanted, **kept}
    if values != kept:
        _write(file, json.dumps(values, indent=2).encode())
    return values


def _new_signing_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    fresh.rename(path)
