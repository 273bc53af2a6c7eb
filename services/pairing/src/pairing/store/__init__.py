"""Pairing's rows in Postgres: one short method a transaction."""

from pairing.store.offers import Offers
from pairing.store.requests import Requests
from pairing.store.rings import Rings

__all__ = ["Offers", "Requests", "Rings"]
