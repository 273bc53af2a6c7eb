"""What is read together: a session with what belongs to it, as locked or as shown."""

from dataclasses import dataclass
from datetime import datetime

from chat.domain.extensions import Extension
from chat.domain.messages import Horizon
from chat.domain.payments import Payment
from chat.domain.sessions import Session


@dataclass(frozen=True, slots=True)
class Held:
    """A session that this transaction has locked, with its open extension and both payments.

    `now` is Postgres' clock after the locks were taken: the only clock that decides.
    """

    session: Session
    now: datetime
    extension: Extension | None
    payment: Payment | None
    extension_payment: Payment | None
    last_seq: int
    customer: Horizon
    mitra: Horizon


@dataclass(frozen=True, slots=True)
class Story:
    """A session as shown to its parties and to operators; `now` is when it was read."""

    session: Session
    now: datetime
    last_seq: int
    customer: Horizon
    mitra: Horizon
    extension: Extension | None
    payment: Payment | None


def story_of(held: Held) -> Story:
    """Return what is shown of a session that was held."""
    return Story(
        session=held.session,
        now=held.now,
        last_seq=held.last_seq,
        customer=held.customer,
        mitra=held.mitra,
        extension=held.extension,
        payment=held.payment,
    )
