"""Load, decide, save, announce: one class a noun."""

from pairing.handlers.deadlines import Deadlines
from pairing.handlers.gate import ClaimGate
from pairing.handlers.offers import Offers
from pairing.handlers.requests import Requests
from pairing.handlers.rings import Rings

__all__ = ["ClaimGate", "Deadlines", "Offers", "Requests", "Rings"]
