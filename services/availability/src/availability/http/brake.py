"""The control center's routes to the brake of auto-offline."""

from availability import errors
from availability.domain.brake import Brake
from availability.http.keys import BRAKES
from availability.views.brake import BrakeNowView, BrakeView, ConfirmBody, ConfirmedView
from common.web import Context, Routes

ROUTES = Routes(tag="control")
_BRAKE = "/api/control/availability/brake"


@ROUTES.get(_BRAKE, roles={"operator"})
async def read_brake(ctx: Context) -> BrakeNowView:
    """Return the auto-offline pass that is stopped now, and whom it would take offline."""
    brake = await ctx.app[BRAKES].now()
    return BrakeNowView(
        brake=brake_view(brake), mitra_ids=[] if brake is None else list(brake.mitra_ids)
    )


@ROUTES.post(f"{_BRAKE}/confirm", roles={"operator"}, raises=(errors.NoBrake, errors.BrakeChanged))
async def confirm_brake(ctx: Context, body: ConfirmBody) -> ConfirmedView:
    """Let the stopped pass that the operator saw go on: these mitras are really gone."""
    mitras = await ctx.app[BRAKES].confirm(body.brake_id, operator_id=ctx.caller.user_id)
    return ConfirmedView(brake_id=body.brake_id, mitras=mitras)


def brake_view(brake: Brake | None) -> BrakeView | None:
    """Show a brake in numbers."""
    return None if brake is None else BrakeView.model_validate(brake, from_attributes=True)
