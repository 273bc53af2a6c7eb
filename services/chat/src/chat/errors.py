"""What can go wrong in a session, by code; the docstring is the message."""

from typing import ClassVar
from uuid import UUID


class ChatError(Exception):
    """The chat could not do that."""

    code: ClassVar[str] = "chat_error"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or (self.__doc__ or "").splitlines()[0])

    def fields(self) -> dict[str, object]:
        """Return what the problem document says besides its code."""
        return {}


class SessionNotFound(ChatError):
    """There is no such session of yours."""

    code: ClassVar[str] = "session_not_found"


class SessionNotActive(ChatError):
    """This session has not started: it waits for its payment."""

    code: ClassVar[str] = "session_not_active"


class SessionOver(ChatError):
    """The time of this session is over."""

    code: ClassVar[str] = "session_over"


class IllegalMove(ChatError):
    """That cannot be done in the present state."""

    code: ClassVar[str] = "illegal_move"

    def __init__(self, thing: str = "", *, state: str = "", to: str = "") -> None:
        super().__init__(f"{thing}: {state} -> {to} is not a legal move." if thing else "")
        self.thing = thing
        self.state = state
        self.to = to

    def fields(self) -> dict[str, object]:
        """Name the state that stood in the way."""
        return {"state": self.state} if self.state else {}


class GoodbyeSaid(ChatError):
    """You have said your goodbye."""

    code: ClassVar[str] = "goodbye_said"


class GoodbyeTooLong(ChatError):
    """A goodbye has at most 500 characters."""

    code: ClassVar[str] = "goodbye_too_long"


class MessageMismatch(ChatError):
    """This client_message_id belongs to another message of the session."""

    code: ClassVar[str] = "message_mismatch"


class TierUnknown(ChatError):
    """No such price tier is on offer."""

    code: ClassVar[str] = "tier_unknown"


class TierNotFound(ChatError):
    """There is no price tier of this name."""

    code: ClassVar[str] = "tier_not_found"


class ExtensionNotFound(ChatError):
    """There is no such extension of this session."""

    code: ClassVar[str] = "extension_not_found"


class ExtensionOpen(ChatError):
    """This session already has an open extension."""

    code: ClassVar[str] = "extension_open"

    def __init__(self, extension_id: UUID | None = None) -> None:
        super().__init__()
        self.extension_id = extension_id

    def fields(self) -> dict[str, object]:
        """Name the open extension."""
        return {} if self.extension_id is None else {"extension_id": str(self.extension_id)}


class ExtensionResolved(ChatError):
    """This extension is settled; the answer changes nothing."""

    code: ClassVar[str] = "extension_resolved"

    def __init__(self, extension_id: UUID | None = None, state: str = "") -> None:
        super().__init__()
        self.extension_id = extension_id
        self.state = state

    def fields(self) -> dict[str, object]:
        """Name the extension and how it was settled."""
        return {"extension_id": str(self.extension_id), "state": self.state}


class ExtensionNotAccepted(ChatError):
    """The mitra has not accepted this extension yet."""

    code: ClassVar[str] = "extension_not_accepted"


class MitraFull(ChatError):
    """The mitra has no free slot for more time now."""

    code: ClassVar[str] = "mitra_full"


class MitraNotFound(ChatError):
    """There is no such mitra."""

    code: ClassVar[str] = "mitra_not_found"


class SensitivityLatched(ChatError):
    """Sensitivity can be raised, never lowered."""

    code: ClassVar[str] = "sensitivity_latched"


class PaymentSettled(ChatError):
    """There is nothing to pay here any more."""

    code: ClassVar[str] = "payment_settled"


class PaymentNotFound(ChatError):
    """There is no such payment."""

    code: ClassVar[str] = "payment_not_found"


class PaymentUnavailable(ChatError):
    """The payment provider cannot be reached; try again."""

    code: ClassVar[str] = "payment_unavailable"

    def __init__(self, detail: str = "", *, retry_after: float = 2.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class OrderTaken(ChatError):
    """The provider knows this order id already."""

    code: ClassVar[str] = "order_taken"


class OrderUnknown(ChatError):
    """No payment has this order id."""

    code: ClassVar[str] = "order_unknown"


class NotificationForged(ChatError):
    """The signature of the notification is wrong."""

    code: ClassVar[str] = "signature_invalid"


class AmountMismatch(ChatError):
    """The amount is not the amount of this order."""

    code: ClassVar[str] = "amount_mismatch"


class MessageEmpty(ChatError):
    """A message says something."""

    code: ClassVar[str] = "message_empty"
