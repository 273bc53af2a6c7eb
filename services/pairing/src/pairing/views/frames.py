"""What goes over the pairing socket, in both directions."""

from collections.abc import Mapping
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common.sockets import Frame
from pairing.views.shapes import (
    BeaconView,
    CustomerStateView,
    MitraStateView,
    OfferView,
    OfferWithdrawnView,
    RequestView,
    View,
)


class StateFrame(Frame):
    """The first frame: everything a client must know to go on from here."""

    type: Literal["state"] = "state"
    data: MitraStateView | CustomerStateView


class OfferFrame(Frame):
    """A new offer to this mitra."""

    type: Literal["offer"] = "offer"
    data: OfferView


class OfferWithdrawnFrame(Frame):
    """An offer that this mitra cannot accept any more."""

    type: Literal["offer_withdrawn"] = "offer_withdrawn"
    data: OfferWithdrawnView


class RequestFrame(Frame):
    """Where this customer's request stands now."""

    type: Literal["request"] = "request"
    data: RequestView


class BeaconFrame(Frame):
    """Whether anyone is available."""

    type: Literal["beacon"] = "beacon"
    data: BeaconView


class BeatAckView(View):
    """Whether this mitra counts as online; null when nobody can tell now."""

    is_online: bool | None


class BeatAckFrame(Frame):
    """The answer to a beat."""

    type: Literal["beat_ack"] = "beat_ack"
    data: BeatAckView


class Incoming(BaseModel):
    """A client's frame; what we do not know in it is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Beat(Incoming):
    """Still here."""


class Seen(Incoming):
    """The mitra has looked at this offer."""

    offer_id: UUID


class Delivered(Incoming):
    """The mitra's app has this offer."""

    offer_id: UUID


INCOMING: Mapping[str, type[Incoming]] = {"beat": Beat, "seen": Seen, "delivered": Delivered}
OUTGOING: tuple[type[Frame], ...] = (
    StateFrame,
    OfferFrame,
    OfferWithdrawnFrame,
    RequestFrame,
    BeaconFrame,
    BeatAckFrame,
)
