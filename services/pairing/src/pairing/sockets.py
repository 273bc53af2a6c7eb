"""The pairing socket: customers follow their request, mitras their offers."""

import functools

from common.clock import Clock
from common.sockets import Connection, Frame, Frames, Hub
from common.sockets.hub import SocketHandler
from pairing import errors
from pairing.handlers import Offers, Requests
from pairing.handlers.beacon import BeaconBoard
from pairing.ports import Presence
from pairing.views.frames import Beat, BeatAckFrame, BeatAckView, Delivered, Seen, StateFrame
from pairing.views.shapes import CustomerStateView, MitraStateView

PATH = "/api/shared/pairing/ws"


class Sockets:
    """Frame → handler, and what a new connection is told first."""

    def __init__(
        self,
        *,
        requests: Requests,
        offers: Offers,
        presence: Presence,
        board: BeaconBoard,
        clock: Clock,
    ) -> None:
        self._requests = requests
        self._offers = offers
        self._presence = presence
        self._board = board
        self._clock = clock

    def frames(self) -> Frames:
        """Return the kinds of frames a client may send."""
        frames = Frames()
        frames.on("beat", Beat)(self.beat)
        frames.at_once("beat", self.beat_at_once)
        frames.on("seen", Seen)(self.seen)
        frames.on("delivered", Delivered)(self.delivered)
        return frames

    def endpoint(self, hub: Hub) -> SocketHandler:
        """Return the handler of the socket's route."""
        return hub.endpoint(roles={"customer", "mitra"}, frames=self.frames(), on_open=self.opened)

    async def opened(self, connection: Connection) -> Frame:
        """Make the first frame: the full present state, so that a reconnect loses nothing."""
        caller = connection.caller
        if caller.role == "mitra":
            is_online = await self._beat(connection)
            offers = await self._offers.open_offers(caller.user_id)
            return StateFrame(
                data=MitraStateView(
                    offers=offers.offers, is_online=is_online, server_time=self._clock.now()
                )
            )
        return StateFrame(
            data=CustomerStateView(
                request=await self._requests.current(caller.user_id),
                beacon=await self._board.now(),
                server_time=self._clock.now(),
            )
        )

    async def beat(
        self, connection: Connection, _data: Beat, frame_id: str | None
    ) -> Frame | bytes:
        """Record a heartbeat and say whether she counts as online."""
        is_online = await self._beat(connection)
        if frame_id is None:
            return _rendered(is_online)
        return BeatAckFrame(id=frame_id, data=BeatAckView(is_online=is_online))

    def beat_at_once(self, connection: Connection) -> None:
        """Record a heartbeat that says nothing else; the answer goes out when it is written."""
        if connection.caller.role != "mitra":
            connection.send(_rendered(None))
            return

        def tell(is_online: bool | None) -> None:  # noqa: FBT001  # there are three answers
            connection.send(_rendered(is_online))

        self._presence.beat_soon(connection.caller.user_id, tell)

    async def seen(self, connection: Connection, data: Seen, _frame_id: str | None) -> None:
        """Note that she looked at an offer; whoever sends a frame is also there."""
        await self._beat(connection)
        await self._offers.seen(data.offer_id, mitra_id=connection.caller.user_id)

    async def delivered(
        self, connection: Connection, data: Delivered, _frame_id: str | None
    ) -> None:
        """Note that her app has an offer; whoever sends a frame is also there."""
        await self._beat(connection)
        await self._offers.delivered(data.offer_id, mitra_id=connection.caller.user_id)

    async def _beat(self, connection: Connection) -> bool | None:
        if connection.caller.role != "mitra":
            return None
        try:
            return await self._presence.beat(connection.caller.user_id)
        except errors.PresenceUnavailable:
            return None


@functools.cache
def _rendered(is_online: bool | None) -> bytes:  # noqa: FBT001  # there are three answers
    """Return the answer to a beat without an id; it is made once."""
    return BeatAckFrame(data=BeatAckView(is_online=is_online)).encode()


def route(sockets: Sockets, hub: Hub) -> tuple[str, SocketHandler]:
    """Return path and handler, as the application takes them."""
    return PATH, sockets.endpoint(hub)
