"""What operators see and do; each act leaves an audit row in its own transaction."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from chat import errors
from chat.domain import sessions
from chat.domain.facts import Held, story_of
from chat.domain.values import Limits
from chat.handlers import holding, rendering
from chat.handlers.mitras import owe_unused
from chat.handlers.sessions import messages_view
from chat.handlers.showing import Shows
from chat.handlers.telling import Teller
from chat.ports import Search, Store, Work
from chat.views import control as views
from chat.views.sessions import MessagesView, OfferedTierView, SessionView


class Control:
    """The control center's view of sessions, capacities and price tiers."""

    def __init__(self, *, store: Store, shows: Shows, teller: Teller, limits: Limits) -> None:
        self._store = store
        self._shows = shows
        self._teller = teller
        self._limits = limits

    # --- sessions --------------------------------------------------------------------------

    async def search(self, search: Search) -> list[SessionView]:
        """List sessions, newest first."""
        return await self._shows.sessions(await self._store.search_stories(search), "operator")

    async def record(self, session_id: UUID) -> views.SessionRecordView:
        """Show a session with everything that belongs to it."""
        story = await self._store.read_story(session_id)
        if story is None:
            raise errors.SessionNotFound
        found = await self._store.session_extensions(session_id)
        paid = await self._store.session_payments(session_id)
        changes = await self._store.sensitivity_log(session_id)
        return views.SessionRecordView(
            session=await self._shows.session(story, "operator"),
            slot=story.session.slot,
            first_reply_at=story.session.first_reply_at,
            extensions=[rendering.extension_view(extension) for extension in found],
            payments=[rendering.payment_record_view(payment) for payment in paid],
            sensitivity_log=[rendering.sensitivity_change_view(change) for change in changes],
        )

    async def transcript(
        self, session_id: UUID, operator_id: UUID, *, after_seq: int, limit: int
    ) -> MessagesView:
        """Show what was said; reading it is an act that is noted."""
        story = await self._store.read_story(session_id)
        if story is None:
            raise errors.SessionNotFound

        async def work(tx: Work) -> None:
            await tx.note_act(
                operator_id, "transcript_read", str(session_id), {"after_seq": after_seq}
            )

        await self._store.run(work)
        found = await self._store.read_messages(session_id, after_seq=after_seq, limit=limit)
        return messages_view(story, found)

    async def end(self, session_id: UUID, operator_id: UUID, reason: str | None) -> SessionView:
        """End a session: an open one closes and unused time is refunded, a closing one ends."""

        async def work(tx: Work) -> Held:
            held = await holding.hold(tx, session_id, self._limits)
            before = held.session.state
            if before in ("active", "expired"):
                owed = await owe_unused(tx, held, "operator_ended")
                held = await holding.close(tx, held, "operator_ended", self._limits)
                detail = {"from": before, "owed_idr": owed, "reason": reason}
            elif before == "closing":
                after = sessions.complete(held.session, held.now)
                await tx.save_session(after, say="session_completed", reason="operator_ended")
                detail = {"from": before, "reason": reason}
            else:
                raise errors.IllegalMove("session", state=before, to="closing")
            await tx.note_act(operator_id, "session_ended", str(session_id), detail)
            return held

        return await self._shown(session_id, await self._store.run(work))

    async def cancel(self, session_id: UUID, operator_id: UUID, reason: str | None) -> SessionView:
        """Give up a session that waits for its payment."""

        async def work(tx: Work) -> Held:
            held = await holding.hold(tx, session_id, self._limits)
            if held.session.state != "pending_payment":
                raise errors.IllegalMove("session", state=held.session.state, to="cancelled")
            held = await holding.cancel(tx, held, "operator_cancelled")
            detail = {"reason": reason}
            await tx.note_act(operator_id, "session_cancelled", str(session_id), detail)
            return held

        return await self._shown(session_id, await self._store.run(work))

    async def _shown(self, session_id: UUID, held: Held) -> SessionView:
        story = await self._teller.session_changed(session_id)
        return await self._shows.session(story or story_of(held), "operator")

    # --- what is counted -------------------------------------------------------------------

    async def statistics(self, days: int) -> views.StatisticsView:
        """Count sessions by state and sensitivity, raised sensitivities, and money."""
        found = await self._store.statistics(timedelta(days=days))
        return views.StatisticsView(
            days=days,
            as_of=found.as_of,
            sessions=[
                views.SessionCountView.model_validate(row, from_attributes=True)
                for row in found.sessions
            ],
            raised=[
                views.RaisedCountView.model_validate(row, from_attributes=True)
                for row in found.raised
            ],
            money=[
                views.MoneyCountView.model_validate(row, from_attributes=True)
                for row in found.money
            ],
        )

    async def activity(self, mitra_ids: Sequence[UUID], days: int) -> views.MitraActivitiesView:
        """Count what mitras did: sessions, how they ended, how many were sensitive."""
        found = await self._store.mitra_activity(mitra_ids, timedelta(days=days))
        rows = [views.MitraActivityView.model_validate(row, from_attributes=True) for row in found]
        return views.MitraActivitiesView(days=days, mitras=rows)

    # --- capacities and tiers --------------------------------------------------------------

    async def capacity(self, mitra_id: UUID) -> views.CapacityView:
        """Show how many sessions a mitra may hold and holds."""
        return rendering.capacity_view(await self._store.capacity(mitra_id))

    async def set_capacity(
        self, mitra_id: UUID, operator_id: UUID, capacity: int
    ) -> views.CapacityView:
        """Set it; lowering it ends no session, it only keeps new ones away."""

        async def work(tx: Work) -> views.CapacityView:
            if not await tx.is_known_mitra(mitra_id):
                raise errors.MitraNotFound
            now = await tx.set_capacity(mitra_id, capacity, "operator")
            detail = {"capacity": capacity}
            await tx.note_act(operator_id, "capacity_set", str(mitra_id), detail)
            return rendering.capacity_view(now)

        return await self._store.run(work)

    async def offered_tiers(self) -> list[OfferedTierView]:
        """List what customers may choose, cheapest first."""
        tiers = await self._store.tiers(only_offered=True)
        return [rendering.offered_tier_view(tier) for tier in tiers]

    async def tiers(self) -> list[views.TierVersionView]:
        """List the current version of every tier."""
        tiers = await self._store.tiers(only_offered=False)
        return [rendering.tier_version_view(tier) for tier in tiers]

    async def tier_versions(self, tier_id: str) -> list[views.TierVersionView]:
        """List all versions of a tier, newest first."""
        versions = await self._store.tier_versions(tier_id)
        if not versions:
            raise errors.TierNotFound
        return [rendering.tier_version_view(version) for version in versions]

    async def put_tier(
        self, tier_id: str, operator_id: UUID, wish: views.TierWish
    ) -> views.TierVersionView:
        """Write the next version of a tier; running sessions keep theirs."""

        async def work(tx: Work) -> views.TierVersionView:
            version = await tx.add_tier(
                tier_id,
                name=wish.name,
                duration_seconds=wish.duration_seconds,
                price_idr=wish.price_idr,
                is_offered=wish.is_offered,
                created_by=operator_id,
            )
            view = rendering.tier_version_view(version)
            await tx.note_act(operator_id, "tier_set", tier_id, view.model_dump(mode="json"))
            return view

        return await self._store.run(work)
