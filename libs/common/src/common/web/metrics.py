"""Rate, errors and duration of every route; no ids in labels."""

import functools

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

from common.web.health import Health

REQUESTS = Counter(
    "http_requests_total", "Requests answered", ["service", "method", "route", "status"]
)
SECONDS = Histogram(
    "http_request_seconds",
    "Seconds from the first byte to the answer",
    ["service", "method", "route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
IN_FLIGHT = Gauge("http_requests_in_flight", "Requests being answered", ["service"])
LIMITED = Counter("http_rate_limited_total", "Requests refused by rate", ["service", "rate_class"])
DEPENDENCY_UP = Gauge("dependency_up", "1 while the dependency answers", ["service", "dependency"])
READY = Gauge("service_ready", "1 while the replica takes traffic", ["service"])


class Ongoing:
    """How many requests are being answered; the gauge reads it when somebody looks."""

    __slots__ = ("requests",)

    def __init__(self) -> None:
        self.requests = 0


@functools.cache
def ongoing(service: str) -> Ongoing:
    """Return the count of a service's requests under way."""
    count = Ongoing()
    IN_FLIGHT.labels(service).set_function(lambda: count.requests)
    return count


@functools.lru_cache(maxsize=4096)
def of_route(service: str, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Return the counter and the histogram of a route; looking them up costs more than using."""
    return (
        REQUESTS.labels(service, method, route, status),
        SECONDS.labels(service, method, route),
    )


async def expose(service: str, health: Health) -> web.Response:
    """Answer a scrape; asks the dependencies first, so that the gauges are true now."""
    for name, state in (await health.dependencies()).items():
        DEPENDENCY_UP.labels(service, name).set(state.up)
    READY.labels(service).set(health.trouble() is None)
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
