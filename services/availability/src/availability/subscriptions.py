"""What availability hears on the bus, and whom it hands it to."""

from collections.abc import Mapping, Sequence
from typing import Final

from availability.domain import Stale
from availability.handlers import Loads, Statuses
from availability.inbound import (
    LoginRevoked,
    MarkedOffline,
    MarkOffline,
    MitraChanged,
    Settled,
    SettleDue,
)
from common.bus import Bus, Delivery, Heard

_AUTH: Final = (
    "mitra_created",
    "mitra_deactivated",
    "mitra_reactivated",
    "login_revoked",
)
# Each of these may change how many slots a mitra's sessions hold, or how many she may hold.
_CHAT: Final = (
    "session_created",
    "session_activated",
    "session_extended",
    "session_expired",
    "session_resumed",
    "session_closing",
    "session_completed",
    "session_cancelled",
    "session_rerouted",
    "capacity_changed",
)

HEARD: Final[dict[str, type[Heard]]] = {
    **{
        f"evt.auth.{name}.v1": LoginRevoked if name == "login_revoked" else MitraChanged
        for name in _AUTH
    },
    **{f"evt.chat.{name}.v1": MitraChanged for name in _CHAT},
}


class Subscriptions:
    """Subject → inbound model → handler."""

    def __init__(self, *, statuses: Statuses, loads: Loads) -> None:
        self._statuses = statuses
        self._loads = loads

    def start(self, bus: Bus) -> None:
        """Subscribe to everything; all of it is kept across reconnects."""
        bus.consume(
            stream="AUTH",
            durable="availability_auth",
            subjects=[f"evt.auth.{name}.v1" for name in _AUTH],
            handler=self.auth_said,
        )
        bus.gather(
            stream="CHAT",
            durable="availability_loads",
            subjects=[f"evt.chat.{name}.v1" for name in _CHAT],
            handler=self.loads_changed,
        )
        queue = "availability"
        bus.serve("cmd.availability.mark_offline.v1", queue=queue, handler=self.mark_offline)
        bus.serve("cmd.availability.settle_due.v1", queue=queue, handler=self.settle_due)

    async def auth_said(self, delivery: Delivery) -> None:
        """Look at her anew; only a logout depends on what the event says."""
        match delivery.subject:
            case "evt.auth.login_revoked.v1":
                await self._login_revoked(delivery)
            case "evt.auth.mitra_created.v1":
                await self._statuses.welcome(delivery.parse(MitraChanged).mitra_id)
            case _:
                await self._statuses.activity_changed(delivery.parse(MitraChanged).mitra_id)

    async def loads_changed(self, deliveries: Sequence[Delivery]) -> None:
        """Recompute their loads; repeats and old news are harmless."""
        await self._loads.changed({one.parse(MitraChanged).mitra_id for one in deliveries})

    async def mark_offline(self, body: bytes, _headers: Mapping[str, str]) -> MarkedOffline:
        """Take offline whom the auto-offline sweep found stale, if they still are.

        A fence lower than one that came before is refused (`fence_passed`): its sender lost the
        lease.
        """
        command = MarkOffline.model_validate_json(body)
        items = [
            Stale(item.mitra_id, item.status_version, item.seen_at_ms) for item in command.items
        ]
        offline = await self._statuses.mark_offline(items, fence=command.fence)
        return MarkedOffline(offline=offline, refused=len(items) - offline)

    async def settle_due(self, body: bytes, _headers: Mapping[str, str]) -> Settled:
        """Settle what the sweeper found due, as our own ticker does."""
        command = SettleDue.model_validate_json(body)
        due = [item.id for item in command.items if item.kind == "deactivated_online"]
        return Settled(settled=await self._statuses.settle_deactivated(due))

    async def _login_revoked(self, delivery: Delivery) -> None:
        event = delivery.parse(LoginRevoked)
        if event.role == "mitra":
            await self._statuses.logged_out(
                event.user_id, login_id=event.login_id, event_id=delivery.id
            )
