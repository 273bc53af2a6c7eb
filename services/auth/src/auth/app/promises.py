"""What others may rely on."""

from auth import events, http, inbound, subscriptions, views
from common.contract import CommandContract, Contract

TITLE = "Temani auth"


def contract() -> Contract:
    """Describe what others may rely on."""
    return Contract(
        service="auth",
        title=TITLE,
        routes=http.ROUTES,
        statuses=http.STATUS,
        events=(
            events.MitraCreated,
            events.MitraDeactivated,
            events.MitraReactivated,
            events.LoginRevoked,
            events.ConfigChanged,
        ),
        heard={subscriptions.LOGIN_SEEN: inbound.LoginSeen},
        commands=(CommandContract(subscriptions.SETTLE_DUE, inbound.SettleDue, views.Settled),),
    )
