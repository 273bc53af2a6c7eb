"""The only wiring of auth."""

from auth.app.commands import COMMANDS
from auth.app.promises import contract
from auth.app.service import build

__all__ = ["COMMANDS", "build", "contract"]
