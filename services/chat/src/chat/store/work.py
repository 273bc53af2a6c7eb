"""One transaction of chat: locks in the one order, guarded writes, events with the change."""

from chat.store.mitras import MitraPart
from chat.store.money import MoneyPart
from chat.store.sessions import SessionPart


class PgWork(SessionPart, MoneyPart, MitraPart):
    """What the handlers may do inside one transaction."""
