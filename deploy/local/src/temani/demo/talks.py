"""A person's conversations: what the app knows of each session, kept right over lost sockets."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from temani.demo.link import Link
from temani.demo.phone import LoggedOut, Phone, Refused, Unreachable
from temani.demo.talk import ALIVE, Talk

# With a socket that says nothing the app asks now and then; without one, often.
POLL_SECONDS = 2.5
POLL_SECONDS_OFFLINE = 0.7
ACK_SECONDS = 2.5
GAP_SECONDS = 0.4


class Talks:
    """All conversations of a phone, fed by its chat socket and by polling."""

    def __init__(self, phone: Phone, on_news: Callable[["Talk"], None] | None = None) -> None:
        self._phone = phone
        self._world = phone.world
        self._on_news = on_news
        self._acks: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._changed = asyncio.Condition()
        self._notes: set[asyncio.Future[None]] = set()
        self.by_id: dict[str, Talk] = {}
        self.link = Link(phone, "/api/shared/chat/ws", on_frame=self._on_frame, cursor=self._cursor)

    # --- what comes in ---------------------------------------------------------------------

    def _cursor(self) -> dict[str, int]:
        open_ones = [talk for talk in self.by_id.values() if talk.state in ALIVE]
        return {talk.session_id: talk.seq for talk in open_ones}

    def _on_frame(self, kind: str, data: dict[str, Any]) -> None:
        match kind:
            case "state":
                self._start_from(data)
            case "session":
                self.note(data)
            case "message":
                self._hear(data)
            case "message_ack":
                waiting = self._acks.get(str(data["client_message_id"]))
                if waiting is not None and not waiting.done():
                    waiting.set_result(data)
            case "session_resumed":
                self._patch(data, ends_at=data["ends_at"])
            case "extension":
                self.note_extension(data)
            case "error":
                self._refuse(data)
        self._wake()

    def _start_from(self, state: dict[str, Any]) -> None:
        """Take the first frame of a connection: everything open, and what was missed."""
        for view in state["sessions"]:
            self.note(view)
        for message in state["messages"]:
            self._hear(message)
        self._look_for_more()

    def note(self, view: dict[str, Any]) -> Talk:
        """Take a view of a session unless a newer one is known."""
        session_id = str(view["session_id"])
        talk = self.by_id.get(session_id)
        if talk is None:
            talk = self.by_id[session_id] = Talk(session_id, view)
            self._shown(talk)
        elif int(view["version"]) >= int(talk.view["version"]):
            moved = talk.state != view["state"]
            talk.view = view
            if moved:
                self._shown(talk)
        if view.get("extension"):
            self.note_extension(view["extension"])
        return talk

    def note_extension(self, extension: dict[str, Any]) -> None:
        """Take a view of an extension."""
        talk = self.by_id.get(str(extension["session_id"]))
        if talk is None:
            return
        talk.extensions[str(extension["extension_id"])] = extension
        if self._on_news is not None:
            self._on_news(talk)

    def _look_for_more(self) -> None:
        """Fetch what did not fit into the first frame after a reconnect."""
        for talk in self.by_id.values():
            if talk.state in ALIVE and int(talk.view["last_seq"]) > talk.seq:
                self._later(self.catch_up(talk))

    def _shown(self, talk: Talk) -> None:
        self._world.history.saw(
            self._phone.user_id,
            "session",
            session=talk.session_id,
            request=talk.request_id,
            state=talk.state,
            version=talk.view["version"],
        )
        self._world.states[talk.session_id] = talk.state
        if self._on_news is not None:
            self._on_news(talk)

    def _patch(self, data: dict[str, Any], **values: Any) -> None:
        talk = self.by_id.get(str(data.get("session_id")))
        if talk is not None:
            talk.view = {**talk.view, **values}
            if self._on_news is not None:
                self._on_news(talk)

    def _hear(self, message: dict[str, Any]) -> None:
        talk = self.by_id.get(str(message.get("session_id")))
        if talk is None or int(message["seq"]) <= talk.seq:
            return
        talk.texts[int(message["seq"])] = message
        while (following := talk.texts.pop(talk.seq + 1, None)) is not None:
            talk.seq += 1
            self._take(talk, following)
        if talk.texts and not talk.mending:
            talk.mending = True
            self._later(self._mend(talk))

    def _take(self, talk: Talk, message: dict[str, Any]) -> None:
        self._world.history.saw(
            self._phone.user_id,
            "message",
            session=talk.session_id,
            seq=talk.seq,
            message=message["message_id"],
        )
        talk.heard.append(message)
        if message["sender_id"] != self._phone.user_id:
            sent = self._world.sent_at.pop(str(message["client_message_id"]), None)
            if sent is not None:
                there = self.link.opened_at < sent
                name = "message_delivered" if there else "message_after_reconnect"
                self._world.numbers.took(name, time.monotonic() - sent)
        if self._on_news is not None:
            self._on_news(talk)

    def _refuse(self, data: dict[str, Any]) -> None:
        waiting = self._acks.get(str(data.get("frame_id")))
        if waiting is not None and not waiting.done():
            waiting.set_exception(Refused(409, str(data.get("code")), str(data.get("detail"))))

    def _wake(self) -> None:
        self._later(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _later(self, work: Any) -> None:
        note = asyncio.ensure_future(work)
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def _mend(self, talk: Talk) -> None:
        # The missing one is usually on its way: our own ack overtakes the other's frame.
        await asyncio.sleep(GAP_SECONDS)
        talk.mending = False
        if talk.texts:
            await self.catch_up(talk)

    # --- asking ----------------------------------------------------------------------------

    async def look(self, session_id: str) -> Talk:
        """Ask for a session over HTTP."""
        return self.note(await self._phone.call("GET", f"/api/shared/chat/sessions/{session_id}"))

    async def catch_up(self, talk: Talk) -> None:
        """Fetch what lies behind a gap, in order, over HTTP."""
        path = f"/api/shared/chat/sessions/{talk.session_id}/messages?after_seq={talk.seq}"
        with suppress(Refused, Unreachable, LoggedOut):
            answer = await self._phone.call("GET", path)
            for message in answer["messages"]:
                self._hear({**message, "session_id": talk.session_id})
            self._wake()

    async def until(
        self, session_id: str, seen: Callable[[Talk], bool], *, seconds: float
    ) -> Talk | None:
        """Wait until a session looks so; asks over HTTP when the socket says nothing for long."""
        deadline = time.monotonic() + seconds
        while True:
            talk = self.by_id.get(session_id)
            if talk is not None and seen(talk):
                return talk
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            every = POLL_SECONDS if self.link.open.is_set() else POLL_SECONDS_OFFLINE
            if not await self._change(min(left, every)):
                await self._poll(session_id)

    async def _change(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _poll(self, session_id: str) -> None:
        with suppress(Refused, Unreachable):
            talk = await self.look(session_id)
            self._world.numbers.count("polls")
            if int(talk.view.get("last_seq", 0)) > talk.seq:
                await self.catch_up(talk)

    # --- saying ----------------------------------------------------------------------------

    async def say(self, talk: Talk, text: str, *, over_http: bool = False) -> bool:
        """Send a message until it is acknowledged; False when the session takes no more."""
        client_id = str(uuid4())
        entry = self._world.history.begin(
            self._phone.user_id, "message", session=talk.session_id, client_message=client_id
        )
        self._world.sent_at[client_id] = time.monotonic()
        body = {"client_message_id": client_id, "text": text}
        try:
            ack = None if over_http else await self._say_on_socket(talk, body)
            if ack is None:
                path = f"/api/shared/chat/sessions/{talk.session_id}/messages"
                ack = await self._phone.call("POST", path, body)
        except Refused as refused:
            self._world.sent_at.pop(client_id, None)
            if refused.sure:
                entry.fail(refused.code)
            else:
                entry.info(refused.code)
            return False
        except (Unreachable, LoggedOut) as lost:
            entry.info(type(lost).__name__)
            raise
        entry.ok(session=talk.session_id, message=ack["message_id"], seq=ack["seq"])
        self._world.numbers.count("messages")
        # What we said ourselves may not come back over the socket: it is known by its ack.
        self._hear({**ack, **body, "session_id": talk.session_id, "sender_id": self._phone.user_id})
        return True

    async def _say_on_socket(self, talk: Talk, body: dict[str, Any]) -> dict[str, Any] | None:
        client_id = str(body["client_message_id"])
        waiting = self._acks[client_id] = asyncio.get_running_loop().create_future()
        try:
            frame = {"session_id": talk.session_id, **body}
            if not await self.link.send("message", frame, frame_id=client_id):
                return None
            async with asyncio.timeout(ACK_SECONDS):
                ack: dict[str, Any] = await waiting
                return ack
        except TimeoutError:
            self._world.numbers.count("acks_lost")
            return None
        finally:
            del self._acks[client_id]

    async def end(self, talk: Talk) -> None:
        """End the session politely."""
        entry = self._world.history.begin(self._phone.user_id, "end", session=talk.session_id)
        path = f"/api/shared/chat/sessions/{talk.session_id}/end"
        try:
            self.note(await self._phone.call("POST", path))
        except Refused as refused:
            entry.fail(refused.code)
            return
        except (Unreachable, LoggedOut) as lost:
            entry.info(type(lost).__name__)
            raise
        entry.ok()
        self._wake()
