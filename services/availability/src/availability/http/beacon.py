"""The beacon, for whoever asks by HTTP."""

from availability.http.keys import BEACONS
from availability.http.render import beacon_view
from availability.views.beacon import BeaconView
from common.web import Context, Routes

ROUTES = Routes(tag="customer")


@ROUTES.get("/api/customer/availability", roles={"customer"})
async def read_beacon(ctx: Context) -> BeaconView:
    """Return whether anyone is available."""
    return beacon_view(await ctx.app[BEACONS].beacon())
