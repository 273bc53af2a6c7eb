"""Where things are in the repository, and the names of its services."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
DEPLOY = ROOT / "deploy"
STATE = ROOT / ".temani"
SERVICES = ("auth", "availability", "pairing", "chat", "sweeper")
DATABASE = "temani"


def service_home(service: str) -> Path:
    """Return the folder of a service: its migrations, contract and source."""
    return ROOT / "services" / service
