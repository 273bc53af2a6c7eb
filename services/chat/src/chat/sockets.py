"""The chat socket: frame → handler, and what a new connection is told first."""

import functools
from uuid import UUID

from chat import errors
from chat.domain.messages import Draft
from chat.domain.values import Role
from chat.handlers import rendering
from chat.handlers.messages import Messages
from chat.handlers.mitras import Attendance
from chat.handlers.sessions import Sessions
from chat.views import frames
from chat.views.sessions import MessageView
from common.clock import Clock
from common.sockets import Connection, Frame, Frames, Hub
from common.sockets.hub import SocketHandler

PATH = "/api/shared/chat/ws"

# The first frame must fit the outgoing queue (256 KiB) with room for what comes meanwhile.
_STATE_CHARACTERS = 40_000
_RESUME_MESSAGES = 100
# What the database can compare with; no session gets so far.
_LAST_SEQ = 2**63 - 1
# Nobody's typing is worth more than one frame in this time.
_TYPING_SECONDS = 1.0


class Sockets:
    """What a party may send over her socket, and what she gets first."""

    def __init__(
        self, *, sessions: Sessions, messages: Messages, attendance: Attendance, clock: Clock
    ) -> None:
        self._sessions = sessions
        self._messages = messages
        self._attendance = attendance
        self._clock = clock
        self._open: dict[UUID, int] = {}

    def endpoint(self, hub: Hub) -> SocketHandler:
        """Return the handler of the socket's route."""
        return hub.endpoint(
            roles={"customer", "mitra"},
            frames=self.kinds(),
            on_open=self.opened,
            on_close=self.closed,
        )

    def kinds(self) -> Frames:
        """Return the kinds of frames that a client may send, with their handlers."""
        kinds = Frames()
        for kind, model in frames.INCOMING.items():
            kinds.on(kind, model)(getattr(self, kind))
        kinds.at_once("beat", self.beat_at_once)
        return kinds

    # --- a connection's life ---------------------------------------------------------------

    async def opened(self, connection: Connection) -> Frame:
        """Make the first frame: what is open, and the messages after the cursor."""
        user_id = connection.caller.user_id
        if _role(connection) == "mitra":
            self._open[user_id] = self._open.get(user_id, 0) + 1
            connection.data["counted"] = True
            self._attendance.saw(user_id)
        living = await self._sessions.living(user_id, _role(connection))
        wanted = {view.session_id: 0 for view in living} | _cursor(connection)
        data = frames.StateData(
            sessions=living,
            messages=await self._missed(user_id, wanted),
            server_time=self._clock.now(),
        )
        return frames.StateFrame(data=data)

    async def closed(self, connection: Connection) -> None:
        """Note when the last socket of a mitra is gone: she may be lost before her first reply."""
        if not connection.data.pop("counted", False):
            return
        user_id = connection.caller.user_id
        left = self._open[user_id] - 1
        if left:
            self._open[user_id] = left
            return
        del self._open[user_id]
        await self._attendance.left(user_id)

    async def _missed(self, user_id: UUID, wanted: dict[UUID, int]) -> list[MessageView]:
        """Collect messages after each cursor, in order, as many as fit; the rest is resumed."""
        missed: list[MessageView] = []
        room = _STATE_CHARACTERS
        for session_id, after_seq in wanted.items():
            try:
                found = await self._sessions.transcript(
                    session_id, user_id, after_seq=after_seq, limit=_RESUME_MESSAGES
                )
            except errors.SessionNotFound:
                continue
            for message in found.messages:
                room -= len(message.text)
                if room < 0:
                    return missed
                missed.append(message)
        return missed

    # --- frames ----------------------------------------------------------------------------

    async def message(
        self, connection: Connection, data: frames.MessageData, _frame_id: str | None
    ) -> Frame:
        """Store a message; the acknowledgement means that it is committed."""
        self._here(connection)
        user_id = connection.caller.user_id
        draft = Draft(data.session_id, user_id, data.client_message_id, data.text)
        sent = rendering.message_view(await self._messages.send(draft))
        return frames.AckFrame(
            data=frames.AckData(
                session_id=sent.session_id,
                client_message_id=sent.client_message_id,
                seq=sent.seq,
                message_id=sent.message_id,
                sent_at=sent.sent_at,
            )
        )

    async def read(
        self, connection: Connection, data: frames.SeqData, _frame_id: str | None
    ) -> None:
        """Move the reader's horizon."""
        self._here(connection)
        await self._sessions.move_horizon(
            data.session_id, connection.caller.user_id, delivered=data.seq, read=data.seq
        )

    async def delivered(
        self, connection: Connection, data: frames.SeqData, _frame_id: str | None
    ) -> None:
        """Move how far the app has received."""
        self._here(connection)
        await self._sessions.move_horizon(
            data.session_id, connection.caller.user_id, delivered=data.seq, read=0
        )

    async def typing(
        self, connection: Connection, data: frames.TypingData, _frame_id: str | None
    ) -> None:
        """Tell the other party, at most once a second."""
        self._here(connection)
        told: dict[UUID, float] = connection.data.setdefault("typing", {})
        now = self._clock.monotonic()
        if now - told.get(data.session_id, float("-inf")) < _TYPING_SECONDS:
            return
        await self._sessions.typing(data.session_id, connection.caller.user_id)
        told[data.session_id] = now

    async def beat(
        self, connection: Connection, _data: frames.BeatData, frame_id: str | None
    ) -> Frame | bytes:
        """Note a heartbeat; the answer tells an auto-offlined mitra that she is offline."""
        is_online = None
        if _role(connection) == "mitra":
            is_online = await self._attendance.beat(connection.caller.user_id)
        if frame_id is None:
            return _rendered(is_online)
        return frames.BeatAckFrame(data=frames.BeatAckData(is_online=is_online))

    def beat_at_once(self, connection: Connection) -> None:
        """Note a heartbeat that says nothing else; the answer goes out when it is written."""
        caller = connection.caller
        if caller.role != "mitra":
            connection.send(_rendered(None))
            return

        def tell(is_online: bool | None) -> None:  # noqa: FBT001  # there are three answers
            connection.send(_rendered(is_online))

        self._attendance.beat_soon(caller.user_id, tell)

    async def resume(
        self, connection: Connection, data: frames.ResumeData, _frame_id: str | None
    ) -> Frame:
        """Return the messages after a cursor; `last_seq` tells whether to ask again."""
        self._here(connection)
        found = await self._sessions.transcript(
            data.session_id,
            connection.caller.user_id,
            after_seq=data.after_seq,
            limit=_RESUME_MESSAGES,
        )
        return frames.MessagesFrame(data=found)

    def _here(self, connection: Connection) -> None:
        if _role(connection) == "mitra":
            self._attendance.saw(connection.caller.user_id)


@functools.cache
def _rendered(is_online: bool | None) -> bytes:  # noqa: FBT001  # there are three answers
    """Return the answer to a beat without an id; it is made once."""
    return frames.BeatAckFrame(data=frames.BeatAckData(is_online=is_online)).encode()


def route(sockets: Sockets, hub: Hub) -> tuple[str, SocketHandler]:
    """Return path and handler, as the application takes them."""
    return PATH, sockets.endpoint(hub)


def frame_kinds() -> Frames:
    """Describe the kinds of frames that a client may send."""
    kinds = Frames()
    for kind, model in frames.INCOMING.items():
        kinds.on(kind, model)(_only_described)
    return kinds


async def _only_described(_connection: object, _data: object, _frame_id: str | None) -> None:
    raise AssertionError("a contract describes frames, it handles none")


def _role(connection: Connection) -> Role:
    return "customer" if connection.caller.role == "customer" else "mitra"


def _cursor(connection: Connection) -> dict[UUID, int]:
    cursor = {}
    for key, seq in connection.cursor.items():
        try:
            cursor[UUID(key)] = min(max(0, seq), _LAST_SEQ)
        except ValueError:
            # An app's own mistake; the rest of its cursor is still good.
            continue
    return cursor
