"""What chat hears on the bus, and whom it hands it to."""

from collections.abc import Callable, Mapping
from uuid import UUID

from pydantic import ValidationError

from chat.domain.values import Due
from chat.handlers.deadlines import Deadlines
from chat.handlers.mitras import Mitras
from chat.handlers.telling import Teller
from chat.inbound import (
    LoginRevoked,
    MitraCreated,
    MitraDeactivated,
    SessionMoved,
    Settled,
    SettleDue,
)
from common.bus import Bus, Delivery
from common.log import get_logger

log = get_logger("subscriptions")

# What open_session_v1 may say.
MOVED_BY_NEIGHBOURS = ("session_created", "session_cancelled", "session_expired")


class Subscriptions:
    """Subject → inbound model → handler."""

    def __init__(
        self,
        *,
        mitras: Mitras,
        deadlines: Deadlines,
        teller: Teller,
        close_login: Callable[[UUID], None],
        look_at_deadlines: Callable[[], None],
    ) -> None:
        self._mitras = mitras
        self._deadlines = deadlines
        self._teller = teller
        self._close_login = close_login
        self._look_at_deadlines = look_at_deadlines

    def start(self, bus: Bus) -> None:
        """Subscribe to everything; all of it is kept across reconnects."""
        for noun, handler in (
            ("mitra_created", self.mitra_created),
            ("mitra_deactivated", self.mitra_deactivated),
        ):
            bus.consume(
                stream="AUTH",
                durable=f"chat_{noun}",
                subjects=[f"evt.auth.{noun}.v1"],
                handler=handler,
            )
        bus.serve("cmd.chat.settle_due.v1", queue="chat", handler=self.settle_due)
        # Every replica holds other sockets, so each must hear of a revoked login.
        bus.listen("evt.auth.login_revoked.v1", self.login_revoked)
        # A neighbour's transaction opens sessions, and moves those on that were in its way: one
        # replica tells both parties, wherever they are.
        for noun in MOVED_BY_NEIGHBOURS:
            bus.listen(f"evt.chat.{noun}.v1", self.session_moved, queue="chat-opened")
        bus.listen("hint.chat.outbox", self.hinted)

    async def mitra_created(self, delivery: Delivery) -> None:
        """Give her a load row with her capacity."""
        heard = delivery.parse(MitraCreated)
        await self._mitras.created(delivery.id, heard.mitra_id, heard.capacity)

    async def mitra_deactivated(self, delivery: Delivery) -> None:
        """Free her customers; what counts is whether she is inactive now, so repeats do no harm."""
        await self._mitras.deactivated(delivery.parse(MitraDeactivated).mitra_id)

    async def settle_due(self, body: bytes, _headers: Mapping[str, str]) -> Settled:
        """Settle what the sweeper found due, as our own ticker does."""
        command = SettleDue.model_validate_json(body)
        items = [Due(item.kind, item.id) for item in command.items]
        return Settled(settled=await self._deadlines.settle_all(items))

    async def login_revoked(self, _subject: str, body: bytes) -> None:
        """Close the sockets of a login that ended."""
        try:
            self._close_login(LoginRevoked.model_validate_json(body).login_id)
        except ValidationError:
            log.warning("hint_malformed", hint="login_revoked")

    async def session_moved(self, subject: str, body: bytes) -> None:
        """Tell both parties of a new session, or of one that a neighbour moved on."""
        try:
            heard = SessionMoved.model_validate_json(body)
        except ValidationError:
            log.warning("hint_malformed", hint=subject)
            return
        await self._teller.session_changed(heard.session_id)

    async def hinted(self, _subject: str, _body: bytes) -> None:
        """Somebody wrote into our outbox: a session was opened, with deadlines of its own."""
        self._look_at_deadlines()
