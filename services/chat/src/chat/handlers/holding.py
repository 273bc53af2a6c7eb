"""Holding a session: locked, allowed, and caught up with its deadlines before anything else."""

from dataclasses import replace
from typing import cast
from uuid import UUID

from chat import errors
from chat.domain import extensions, payments, sessions, steps
from chat.domain.facts import Held
from chat.domain.payments import Payment
from chat.domain.values import Limits, Role
from chat.ports import SessionNoun, Work


async def hold(work: Work, session_id: UUID, limits: Limits) -> Held:
    """Lock a session and let it catch up."""
    held = await work.hold(session_id)
    if held is None:
        raise errors.SessionNotFound
    return await catch_up(work, held, limits)


async def hold_mine(
    work: Work, session_id: UUID, user_id: UUID, limits: Limits, *, role: Role | None = None
) -> Held:
    """Lock a session for one of its parties (for the one of `role`) and let it catch up."""
    held = await work.hold(session_id)
    if held is None or not sessions.may_read(held.session, user_id):
        raise errors.SessionNotFound
    if role is not None and held.session.role_of(user_id) != role:
        raise errors.SessionNotFound
    return await catch_up(work, held, limits)


async def catch_up(work: Work, held: Held, limits: Limits) -> Held:
    """Make every step that a passed deadline demands, each with its event."""
    while (step := steps.overdue_step(held.session, held.extension, held.now, limits)) is not None:
        if step.settled is not None:
            await work.save_extension(step.settled)
            await expire_payment(work, held.extension_payment, held)
            held = replace(held, extension=None, extension_payment=None)
        if step.say == "session_cancelled":
            payment = await expire_payment(work, held.payment, held)
            held = replace(held, payment=payment)
        say = cast("SessionNoun | None", step.say)
        session = await work.save_session(step.session, say=say, reason=step.reason)
        held = replace(held, session=session)
    return held


async def expire_payment(work: Work, payment: Payment | None, held: Held) -> Payment | None:
    """Give up waiting for a payment; what still arrives is owed to the customer."""
    if payment is None or payment.state != "pending":
        return payment
    expired = payments.settle(payment, "expired", held.now)
    await work.save_payment(expired)
    return expired


async def settle_extension(work: Work, held: Held, reason: str) -> Held:
    """Decline the open extension, because the session ends."""
    if held.extension is None:
        return held
    await work.save_extension(extensions.decline(held.extension, held.now, reason))
    await expire_payment(work, held.extension_payment, held)
    return replace(held, extension=None, extension_payment=None)


async def close(work: Work, held: Held, reason: str, limits: Limits) -> Held:
    """Begin the goodbye phase of an active or expired session."""
    held = await settle_extension(work, held, "session_ended")
    after = sessions.close(held.session, held.now, reason, limits)
    session = await work.save_session(after, say="session_closing", reason=reason)
    return replace(held, session=session)


async def cancel(work: Work, held: Held, reason: str) -> Held:
    """Give up a session that was never paid."""
    payment = await expire_payment(work, held.payment, held)
    after = sessions.cancel(held.session, held.now, reason)
    session = await work.save_session(after, say="session_cancelled", reason=reason)
    return replace(held, session=session, payment=payment)
