"""What pairing is told by its environment; units are in the names."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from mirror.settings import MirrorSettings

Seconds = Annotated[float, Field(gt=0, le=3600)]


class Settings(MirrorSettings):
    """How wide and how fast the rings go, and how long everyone waits."""

    http_port: Annotated[int, Field(ge=0, le=65535)] = 9103
    ring_size: Annotated[int, Field(ge=1, le=200)] = 8
    ring_seconds: Seconds = 10
    # A ring that found nobody is tried again this soon: somebody may come online or get free.
    empty_ring_seconds: Seconds = 2
    offer_life_seconds: Seconds = 25
    request_wait_seconds: Seconds = 120
    tick_seconds: Seconds = 5
    # A beacon older than this is asked for anew: without NATS nobody tells it to us. One that is
    # found may be as old, and a look comes each second: so nobody sees one that is older than 10 s.
    beacon_seconds: Annotated[float, Field(gt=0, le=4)] = 4
    # Open offers a mitra may hold above her free slots.
    spare_offers: Annotated[int, Field(ge=0, le=20)] = 2
    # How long a reconnecting customer still sees how her last request ended.
    outcome_seconds: Seconds = 600
    offers_kept_days: Annotated[int, Field(ge=1, le=3650)] = 30

    @model_validator(mode="after")
    def _life_fits_wait(self) -> Self:
        if self.offer_life_seconds > self.request_wait_seconds:
            raise ValueError("OFFER_LIFE_SECONDS must not exceed REQUEST_WAIT_SECONDS")
        return self
