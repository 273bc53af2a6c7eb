"""What auth hears: the command to settle due rows, and hints that a token was honoured."""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from auth.handlers.housekeeping import HousekeepingHandlers
from auth.handlers.tokens import TokenHandlers
from auth.inbound import LoginSeen, SettleDue
from auth.views import Settled
from common.bus import Bus, Malformed

SETTLE_DUE: Final = "cmd.auth.settle_due.v1"
LOGIN_SEEN: Final = "hint.auth.login_seen"
_QUEUE: Final = "auth"


def subscribe(bus: Bus, *, housekeeping: HousekeepingHandlers, tokens: TokenHandlers) -> None:
    """Serve and listen for as long as the process lives."""

    async def settle(body: bytes, _headers: Mapping[str, str]) -> Settled:
        try:
            asked = SettleDue.model_validate_json(body)
        except ValidationError as error:
            raise Malformed(str(error.error_count())) from error
        items = [(item.kind, item.id) for item in asked.items]
        return Settled(settled=await housekeeping.settle(items))

    async def seen(_subject: str, body: bytes) -> None:
        try:
            hint = LoginSeen.model_validate_json(body)
        except ValidationError:
            return
        await tokens.mark_seen(hint.login_id, hint.generation)

    bus.serve(SETTLE_DUE, queue=_QUEUE, handler=settle)
    bus.listen(LOGIN_SEEN, seen, queue=_QUEUE)
