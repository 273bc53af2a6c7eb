"""What the simulated providers need to know, from the environment."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Addresses and keys; the keys are the ones the product's adapters must present."""

    http_host: str
    http_port: int
    otp_merchant_key: str
    payment_server_key: str
    notification_url: str
    public_url: str
    orders_file: Path | None


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; in production there are no simulated providers, so the process ends."""
    # Named are the places where it may play, so that no spelling of the other one slips through.
    if environment.get("ENVIRONMENT", "local") not in ("local", "test"):
        sys.exit("devproviders plays the outside world for development; production has a real one")
    host = environment.get("HTTP_HOST", "127.0.0.1")
    port = int(environment.get("HTTP_PORT", "8090"))
    orders = environment.get("ORDERS_FILE")
    return Settings(
        http_host=host,
        http_port=port,
        otp_merchant_key=_required(environment, "OTP_MERCHANT_KEY"),
        payment_server_key=_required(environment, "PAYMENT_SERVER_KEY"),
        notification_url=_required(environment, "NOTIFICATION_URL"),
        public_url=environment.get("PUBLIC_URL", f"http://{host}:{port}").rstrip("/"),
        orders_file=Path(orders) if orders else None,
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        sys.exit(f"devproviders: {name} is not set")
    return value
