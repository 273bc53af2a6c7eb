"""Payments: where to pay, what the provider says, and what goes back."""

from dataclasses import replace
from uuid import UUID

from chat import errors
from chat.domain import extensions, payments, sessions, settling
from chat.domain.extensions import Extension
from chat.domain.facts import Held
from chat.domain.payments import Payment, ProviderWord
from chat.domain.values import Limits
from chat.handlers import holding, rendering
from chat.handlers.telling import Teller
from chat.ports import PaymentProvider, Store, Work
from chat.views import frames
from chat.views.sessions import PaymentView
from common.db import Unavailable
from common.ids import new_id
from common.log import get_logger
from common.sockets import Frame

log = get_logger("payments")

_SWEEP_BATCH = 20
_PAYABLE = ("pending", "failed")


class Payments:
    """The money of sessions and extensions; no call to the provider happens in a transaction."""

    def __init__(
        self, *, store: Store, provider: PaymentProvider, teller: Teller, limits: Limits
    ) -> None:
        self._store = store
        self._provider = provider
        self._teller = teller
        self._limits = limits

    # --- where to pay ----------------------------------------------------------------------

    async def start(
        self, session_id: UUID, customer_id: UUID, extension_id: UUID | None = None
    ) -> PaymentView:
        """Return where to pay for a session or an extension; repeated it is the same place."""

        async def work(tx: Work) -> Payment:
            held = await holding.hold_mine(
                tx, session_id, customer_id, self._limits, role="customer"
            )
            extension = await _payable(tx, held, extension_id)
            expires_at = held.session.pay_by if extension is None else extension.pay_by
            assert expires_at is not None
            return await tx.add_payment(
                held.session,
                extension,
                order_id=_order_id(),
                expires_at=expires_at,
                check_at=held.now + payments.FIRST_CHECK,
            )

        payment = await self._store.run(work)
        if payment.state in _PAYABLE and payment.token is None:
            payment = await self._open_checkout(payment)
        # Looked at last: while the page was made the hold may have ended.
        if payment.state not in _PAYABLE:
            raise errors.PaymentSettled
        return rendering.payment_view(payment)

    async def _open_checkout(self, payment: Payment) -> Payment:
        for _ in range(2):
            try:
                checkout = await self._provider.create(
                    payment.order_id,
                    amount_idr=payment.amount_idr,
                    item="extension" if payment.extension_id else "session",
                    hold=self._limits.payment_hold,
                )
            except errors.OrderTaken:
                # A parallel call was faster, or its answer was lost: then nobody knows the page
                # of the old order id, so nobody can have paid it.
                payment = await self._store.rename_order(payment.id, payment.order_id, _order_id())
                if payment.token is not None:
                    return payment
                continue
            return await self._store.keep_checkout(
                payment.id, payment.order_id, checkout.token, checkout.redirect_url
            )
        raise errors.PaymentUnavailable

    # --- what the provider says ------------------------------------------------------------

    async def notify(self, body: bytes) -> None:
        """Apply a signed notification; returning means that it is committed."""
        await self.hear(self._provider.read_notification(body), source="notification")

    async def hear(self, word: ProviderWord, *, source: str) -> None:
        """Apply what the provider says: once, in whatever order, however late."""
        known = await self._store.find_payment(word.order_id)
        if known is None:
            raise errors.OrderUnknown
        if word.amount_idr != known.amount_idr:
            log.error("payment_amount_differs", order_id=word.order_id, payment_id=str(known.id))
            raise errors.AmountMismatch

        async def work(tx: Work) -> tuple[UUID, list[Frame]]:
            held = await self._hold(tx, known)
            payment = await tx.read_payment(known.id)
            is_new = await tx.note_word(payment, word, source)
            told = await self._apply(tx, held, payment, word) if is_new else []
            return held.session.id, told

        session_id, told = await self._store.run(work)
        log.info("payment_heard", order_id=word.order_id, status=word.status, source=source)
        await self._teller.session_changed(session_id, told)

    async def _hold(self, tx: Work, payment: Payment) -> Held:
        session_id = payment.session_id
        if payment.extension_id is None:
            # The money belongs to the request: a reroute may have given it another session.
            session_id = await tx.find_session_of_request(payment.request_id) or session_id
        return await holding.hold(tx, session_id, self._limits)

    async def _apply(
        self, tx: Work, held: Held, payment: Payment, word: ProviderWord
    ) -> list[Frame]:
        payment = replace(payment, transaction_id=word.transaction_id)
        effect = settling.effect_of(word.verdict, payment, held.session, held.extension)
        if effect == "activate":
            await tx.save_payment(payments.settle(payment, "paid", held.now))
            after = sessions.activate(held.session, held.now, self._limits)
            await tx.save_session(after, say="session_activated")
        elif effect == "prolong":
            return await self._prolong(tx, held, payment)
        elif effect == "owe":
            await _owe(tx, payment, held, "paid_too_late")
        elif effect in ("fail", "expire"):
            to = "failed" if effect == "fail" else "expired"
            await tx.save_payment(payments.settle(payment, to, held.now))  # type: ignore[arg-type]  # a literal either way
        elif effect == "give_back":
            await _give_back(tx, payment, held, word.refunded_idr)
        return []

    async def _prolong(self, tx: Work, held: Held, payment: Payment) -> list[Frame]:
        assert held.extension is not None
        await tx.save_payment(payments.settle(payment, "paid", held.now))
        paid = extensions.pay(held.extension)
        await tx.save_extension(paid)
        applied = extensions.apply(paid, held.now)
        await tx.save_extension(applied)
        is_resumed = held.session.state == "expired"
        after = sessions.prolong(held.session, applied.tier.duration, held.now, self._limits)
        await tx.save_session(after, say="session_resumed" if is_resumed else "session_extended")
        assert after.ends_at is not None
        data = frames.EndsAtData(session_id=after.id, ends_at=after.ends_at)
        extension = frames.ExtensionFrame(data=rendering.extension_view(applied))
        return [extension, frames.ResumedFrame(data=data)]

    # --- what the jobs do ------------------------------------------------------------------

    async def check_pending(self) -> int:
        """Ask the provider about payments it has not spoken of; a lost notification heals so."""
        checked = 0
        for payment in await self._store.claim_checks(_SWEEP_BATCH):
            if payment.token is None:
                continue
            try:
                word = await self._provider.status(payment.order_id)
                if word is not None:
                    await self.hear(word, source="check")
            except (errors.ChatError, Unavailable) as error:
                log.warning("payment_check_failed", payment_id=str(payment.id), error=str(error))
                continue
            checked += 1
        return checked

    async def give_back_due(self) -> int:
        """Let the provider give back what is owed; each payment has one refund key for ever."""
        given = 0
        for payment in await self._store.claim_refunds(_SWEEP_BATCH):
            try:
                given += await self._give_back_one(payment)
            except (errors.ChatError, Unavailable) as error:
                log.warning("refund_failed", payment_id=str(payment.id), error=str(error))
        return given

    async def _give_back_one(self, payment: Payment) -> bool:
        assert payment.refund_idr is not None
        word = await self._provider.refund(
            payment.order_id,
            refund_key=payment.id.hex,
            amount_idr=payment.refund_idr,
            reason=payment.refund_reason or "",
        )
        if word is None:
            log.error("refund_refused", payment_id=str(payment.id), tries=payment.refund_tries)
            return False

        async def work(tx: Work) -> UUID:
            held = await self._hold(tx, payment)
            now = await tx.read_payment(payment.id)
            await tx.note_word(now, word, "refund")
            if now.state == "refund_due":
                await tx.save_payment(payments.refunded(now, held.now))
            return held.session.id

        session_id = await self._store.run(work)
        log.info("payment_refunded", payment_id=str(payment.id), amount_idr=payment.refund_idr)
        await self._teller.session_changed(session_id)
        return True


async def _payable(tx: Work, held: Held, extension_id: UUID | None) -> Extension | None:
    """Return the extension to pay for, None for the session itself; raise when nothing is due."""
    if extension_id is None:
        if held.session.state != "pending_payment":
            raise errors.PaymentSettled
        return None
    if held.extension is not None and held.extension.id == extension_id:
        if held.extension.state != "accepted":
            raise errors.ExtensionNotAccepted
        return held.extension
    settled = await tx.find_extension(extension_id)
    if settled is None or settled.session_id != held.session.id:
        raise errors.ExtensionNotFound
    raise errors.ExtensionResolved(settled.id, settled.state)


async def _owe(tx: Work, payment: Payment, held: Held, reason: str) -> None:
    """Owe all of it; a payment that failed before was paid after all."""
    if payment.state in ("failed", "pending"):
        payment = payments.settle(payment, "paid", held.now)
        await tx.save_payment(payment)
    await tx.save_payment(payments.owe(payment, payment.amount_idr, reason, held.now))


async def _give_back(tx: Work, payment: Payment, held: Held, given_idr: int | None) -> None:
    """Note a refund that was made at the provider, of all or of a part."""
    if payment.state == "paid":
        amount = payment.amount_idr if given_idr is None else min(given_idr, payment.amount_idr)
        payment = payments.owe(payment, amount, "refunded_at_provider", held.now)
        await tx.save_payment(payment)
    elif given_idr is not None and given_idr < (payment.refund_idr or 0):
        # Less than we owe: our own refund is still to be made.
        return
    await tx.save_payment(payments.refunded(payment, held.now))


def _order_id() -> str:
    return f"tmn-{new_id().hex}"
