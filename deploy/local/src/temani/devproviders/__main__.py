"""Run the simulated providers: `python -m temani.devproviders`."""

import logging

from aiohttp import web

from temani.devproviders.app import build
from temani.devproviders.settings import load


def main() -> None:
    """Serve until told to stop."""
    settings = load()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    web.run_app(
        build(settings),
        host=settings.http_host,
        port=settings.http_port,
        access_log=None,
        print=None,
        shutdown_timeout=2,
    )


if __name__ == "__main__":
    main()
