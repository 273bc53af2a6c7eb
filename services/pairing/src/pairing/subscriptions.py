"""What pairing hears on the bus, and whom it hands it to."""

from collections.abc import Mapping

from pydantic import ValidationError

from common.bus import Bus, Delivery
from common.log import get_logger
from pairing.domain import Beacon, DueItem
from pairing.handlers import Deadlines, Offers
from pairing.handlers.announce import Announcer
from pairing.handlers.beacon import BeaconBoard
from pairing.inbound import BeaconHeard, MitraGone, RequestReopened, Settled, SettleDue
from pairing.ports import Alarm

_log = get_logger("subscriptions")

# Who opened a request sends its first ring itself; only what it left undone is worth a look.
_HINT_SECONDS = 0.05


class Subscriptions:
    """Subject → inbound model → handler."""

    def __init__(
        self,
        *,
        offers: Offers,
        deadlines: Deadlines,
        announcer: Announcer,
        board: BeaconBoard,
        alarm: Alarm,
    ) -> None:
        self._offers = offers
        self._deadlines = deadlines
        self._announcer = announcer
        self._board = board
        self._alarm = alarm

    def start(self, bus: Bus) -> None:
        """Subscribe to everything; all of it is kept across reconnects."""
        bus.consume(
            stream="AVAILABILITY",
            durable="pairing_mitra_offline",
            subjects=["evt.availability.mitra_offline.v1"],
            handler=self.mitra_offline,
        )
        bus.consume(
            stream="AUTH",
            durable="pairing_mitra_deactivated",
            subjects=["evt.auth.mitra_deactivated.v1"],
            handler=self.mitra_deactivated,
        )
        bus.serve("cmd.pairing.settle_due.v1", queue="pairing", handler=self.settle_due)
        # Hints only, heard by every replica: whoever misses them finds the row by its deadline.
        bus.listen("evt.pairing.request_opened.v1", self.request_opened)
        bus.listen("hint.pairing.outbox", self.hinted)
        bus.listen("rt.availability.beacon", self.beacon)

    async def mitra_offline(self, delivery: Delivery) -> None:
        """Withdraw her offers; what counts is whether she is gone now, so repeats are harmless."""
        await self._offers.mitra_offline(delivery.parse(MitraGone).mitra_id)

    async def mitra_deactivated(self, delivery: Delivery) -> None:
        """Withdraw her offers; what counts is whether she is inactive now."""
        await self._offers.mitra_deactivated(delivery.parse(MitraGone).mitra_id)

    async def settle_due(self, body: bytes, _headers: Mapping[str, str]) -> Settled:
        """Settle what the sweeper found due, as our own ticker does."""
        command = SettleDue.model_validate_json(body)
        items = [DueItem(item.kind, item.id) for item in command.items]
        return Settled(settled=await self._deadlines.settle(items))

    async def request_opened(self, _subject: str, body: bytes) -> None:
        """Look at the rings soon, and tell a customer of ours where her request stands."""
        self._alarm.within(_HINT_SECONDS)
        try:
            heard = RequestReopened.model_validate_json(body)
        except ValidationError:
            _log.warning("hint_malformed", hint="request_opened")
            return
        await self._announcer.reopened(heard.request_id, customer_id=heard.customer_id)

    async def beacon(self, _subject: str, body: bytes) -> None:
        """Pass the beacon on to the customers of this replica."""
        try:
            heard = BeaconHeard.model_validate_json(body)
        except ValidationError:
            _log.warning("hint_malformed", hint="beacon")
            return
        self._board.heard(Beacon(heard.state, heard.count, heard.as_of, heard.why, heard.opens_at))

    async def hinted(self, _subject: str, _body: bytes) -> None:
        """Somebody wrote into our outbox: a request was reopened."""
        self._alarm.within(_HINT_SECONDS)
