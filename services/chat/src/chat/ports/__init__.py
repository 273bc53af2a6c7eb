"""What the handlers need from the outside, and nothing about how it is done."""

from chat.ports.outside import Alarm, Beats, Checkout, PaymentProvider, Realtime
from chat.ports.store import Search, Store
from chat.ports.work import SessionNoun, Work

__all__ = [
    "Alarm",
    "Beats",
    "Checkout",
    "PaymentProvider",
    "Realtime",
    "Search",
    "SessionNoun",
    "Store",
    "Work",
]
