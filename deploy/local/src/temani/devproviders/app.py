"""The outside world in one process: a sender of codes, a payment provider, and pages for people."""

from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from temani.devproviders.background import Background
from temani.devproviders.faults import Faults
from temani.devproviders.fazpass import Fazpass
from temani.devproviders.inbox import Inbox
from temani.devproviders.midtrans import Midtrans
from temani.devproviders.notifications import Notifier
from temani.devproviders.orders import Orders
from temani.devproviders.pages import Pages
from temani.devproviders.settings import Settings


async def build(settings: Settings) -> web.Application:
    """Wire the providers together."""
    app = web.Application(client_max_size=64 * 1024)
    inbox, faults, background = Inbox(), Faults(), Background()
    orders = Orders(settings.orders_file)

    http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
    notifier = Notifier(
        server_key=settings.payment_server_key,
        http=http,
        orders=orders,
        faults=faults,
        background=background,
    )
    midtrans = Midtrans(
        server_key=settings.payment_server_key,
        notification_url=settings.notification_url,
        public_url=settings.public_url,
        orders=orders,
        notifier=notifier,
        faults=faults,
    )
    fazpass = Fazpass(
        merchant_key=settings.otp_merchant_key,
        inbox=inbox,
        faults=faults,
        background=background,
    )
    pages = Pages(inbox=inbox, orders=orders, midtrans=midtrans, faults=faults)
    app.add_routes([*fazpass.routes(), *midtrans.routes(), *pages.routes()])

    async def life(_: web.Application) -> AsyncIterator[None]:
        notifier.tell_rest()
        yield
        await background.close()
        await http.close()

    async def end_streams(_: web.Application) -> None:
        pages.closing = True
        await inbox.close()

    app.cleanup_ctx.append(life)
    app.on_shutdown.append(end_streams)
    return app
