"""More time: asked by the customer, answered by the mitra, within their deadlines."""

from collections.abc import Sequence
from uuid import UUID

from chat import errors
from chat.domain import extensions, sessions
from chat.domain.extensions import Extension
from chat.domain.facts import Held
from chat.domain.values import Limits
from chat.handlers import holding, rendering
from chat.handlers.telling import Teller
from chat.ports import Store, Work
from chat.views.frames import ExtensionFrame
from chat.views.sessions import ExtensionView
from common.sockets import Frame


class Extensions:
    """The way of an extension up to its payment."""

    def __init__(self, *, store: Store, teller: Teller, limits: Limits) -> None:
        self._store = store
        self._teller = teller
        self._limits = limits

    async def ask(self, session_id: UUID, customer_id: UUID, tier_id: str) -> ExtensionView:
        """Ask for more time; asking the same again returns the open extension."""

        async def work(tx: Work) -> Extension:
            held = await holding.hold_mine(
                tx, session_id, customer_id, self._limits, role="customer"
            )
            if held.extension is not None:
                if held.extension.tier.tier_id == tier_id:
                    return held.extension
                raise errors.ExtensionOpen(held.extension.id)
            if held.session.state == "pending_payment":
                raise errors.SessionNotActive
            if held.session.state not in ("active", "expired"):
                raise errors.SessionOver
            return await self._open(tx, held, tier_id)

        extension = await self._store.run(work)
        await self._teller.session_changed(session_id, _frames(extension))
        return rendering.extension_view(extension)

    async def _open(self, tx: Work, held: Held, tier_id: str) -> Extension:
        tier = await tx.current_tier(tier_id)
        if tier is None:
            raise errors.TierUnknown
        slot = held.session.slot or await tx.free_slot(held.session.mitra_id)
        if slot is None:
            raise errors.MitraFull
        extension = await tx.add_extension(
            held.session, tier, now=held.now, answer=self._limits.extension_answer
        )
        # An expired session takes a slot again: its load changes, so others must hear of it.
        say = "session_expired" if held.session.state == "expired" else None
        after = sessions.open_extension(held.session, extension.id, slot)
        await tx.save_session(after, say=say, reason="extension_requested" if say else None)  # type: ignore[arg-type]  # a literal either way
        return extension

    async def accept(self, session_id: UUID, extension_id: UUID, mitra_id: UUID) -> ExtensionView:
        """Agree: the customer has the payment hold to pay."""

        async def work(tx: Work) -> Extension:
            held, extension = await self._asked(tx, session_id, extension_id, mitra_id)
            if extension.state == "accepted":
                return extension
            accepted = extensions.accept(extension, held.now, self._limits)
            await tx.save_extension(accepted)
            return accepted

        return await self._answer(session_id, await self._store.run(work))

    async def decline(self, session_id: UUID, extension_id: UUID, mitra_id: UUID) -> ExtensionView:
        """Refuse: an expired session gives its slot back."""

        async def work(tx: Work) -> Extension:
            held, extension = await self._asked(tx, session_id, extension_id, mitra_id)
            if extension.state != "requested":
                raise errors.ExtensionResolved(extension.id, extension.state)
            declined = extensions.decline(extension, held.now, "declined")
            await tx.save_extension(declined)
            after = sessions.drop_extension(held.session)
            if after.state == "expired":
                await tx.save_session(after, say="session_expired", reason="extension_declined")
            else:
                await tx.save_session(after, say=None)
            return declined

        return await self._answer(session_id, await self._store.run(work))

    async def _asked(
        self, tx: Work, session_id: UUID, extension_id: UUID, mitra_id: UUID
    ) -> tuple[Held, Extension]:
        """Hold the session of an open extension, or say how the extension was settled."""
        held = await holding.hold_mine(tx, session_id, mitra_id, self._limits, role="mitra")
        if held.extension is not None and held.extension.id == extension_id:
            return held, held.extension
        settled = await tx.find_extension(extension_id)
        if settled is None or settled.session_id != session_id:
            raise errors.ExtensionNotFound
        raise errors.ExtensionResolved(settled.id, settled.state)

    async def _answer(self, session_id: UUID, extension: Extension) -> ExtensionView:
        await self._teller.session_changed(session_id, _frames(extension))
        return rendering.extension_view(extension)

    async def session_of(self, extension_id: UUID) -> UUID | None:
        """Return the session that an extension belongs to."""

        async def work(tx: Work) -> Extension | None:
            return await tx.find_extension(extension_id)

        extension = await self._store.run(work)
        return None if extension is None else extension.session_id


def _frames(extension: Extension) -> Sequence[Frame]:
    return [ExtensionFrame(data=rendering.extension_view(extension))]
