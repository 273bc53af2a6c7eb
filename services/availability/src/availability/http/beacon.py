"""The beacon, for whoever asks by HTTP."""

from availability.http.keys import BEACONS
from availability.views.beacon import BeaconView
from common.web import Context, Routes

ROUTES = Routes(tag="customer")


@ROUTES.get("/api/customer/availability", roles={"customer"})
async def read_beacon(ctx: Context) -> BeaconView:
    """Return whether anyone is available."""
    beacon = (await ctx.app[BEACONS].now()).beacon
    return BeaconView(state=beacon.state, available=beacon.count, as_of=beacon.as_of)
