"""Where things are in the repository, and the names of its services."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
DEPLOY = ROOT / "deploy"
# Data, secrets and logs of the stack; another folder makes another stack beside the first.
STATE = Path(os.environ.get("TEMANI_STATE") or ROOT / ".temani").resolve()
SERVICES = ("auth", "availability", "pairing", "chat", "sweeper")
DATABASE = "temani"


def service_home(service: str) -> Path:
    """Return the folder of a service: its migrations, contract and source."""
    return ROOT / "services" / service
