"""The edge under a fuzzer: what the description says is what happens, whatever is sent."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import pytest
from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from common.clock import SystemClock
from common.ids import new_id
from common.limits import Rate, RateLimits
from common.testing.tokens import FakeRevocations, Mint
from common.web import (
    Context,
    EdgeRunner,
    Health,
    IdempotencyKey,
    Page,
    Routes,
    build_app,
)
from temani.ports import free_port

BUDGET_SECONDS = 90


class Settings:
    """What the edge reads."""

    trusted_hops = 0


class NotThere(Exception):
    """There is no such thing."""

    code: ClassVar[str] = "thing_not_found"


class Part(BaseModel):
    """A closed model."""

    model_config = ConfigDict(extra="forbid")

    weight: Annotated[int, Field(ge=0, le=10)]
    tags: Annotated[list[Annotated[str, Field(max_length=5)]], Field(max_length=3)] = []


class NewThing(BaseModel):
    """A body with a bit of everything."""

    text: Annotated[str, Field(min_length=1, max_length=10)]
    count: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] = 0
    maybe: bool | None = None
    kind: Literal["a", "b"] = "a"
    other_id: UUID | None = None
    at: AwareDatetime | None = None
    part: Part | None = None
    share: Annotated[float, Field(ge=0, le=1)] = 0.5


class Search(BaseModel):
    """A query with a bit of everything."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(max_length=64)] | None = None
    state: Literal["open", "closed"] | None = None
    flag: bool = False
    after: UUID | None = None
    since: AwareDatetime | None = None
    tag: list[Literal["p", "q"]] = []


class ThingView(BaseModel):
    """An answer."""

    thing_id: UUID
    text: str
    at: AwareDatetime


routes = Routes(tag="things")
things: dict[UUID, ThingView] = {}


@routes.get("/api/things")
async def list_things(query: Search) -> Page[ThingView]:
    """List things."""
    return Page(items=list(things.values())[: query.limit])


@routes.post("/api/things", roles={"customer"}, status=201)
async def make_thing(body: NewThing, idempotency_key: IdempotencyKey | None) -> ThingView:
    """Make a thing."""
    del idempotency_key
    thing = ThingView(thing_id=new_id(), text=body.text, at=datetime.now(UTC))
    things[thing.thing_id] = thing
    return thing


@routes.get("/api/things/{thing_id}", roles={"customer"}, raises=(NotThere,))
async def show_thing(thing_id: UUID) -> ThingView:
    """Show a thing."""
    if thing_id not in things:
        raise NotThere
    return things[thing_id]


@routes.patch("/api/things/{thing_id}", roles={"customer"}, raises=(NotThere,))
async def change_thing(thing_id: UUID, body: Part, idempotency_key: IdempotencyKey) -> ThingView:
    """Change a thing."""
    del body, idempotency_key
    return await show_thing(thing_id)


@routes.delete("/api/things/{thing_id}", roles={"customer"}, raises=(NotThere,))
async def drop_thing(thing_id: UUID) -> None:
    """Drop a thing."""
    if things.pop(thing_id, None) is None:
        raise NotThere


@routes.post("/api/end")
async def end(ctx: Context, body: Part | None = None) -> None:
    """End, with or without a reason."""
    del ctx, body


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, str]]:
    """A running application, and a token for it."""
    mint, fast = Mint(SystemClock()), Rate(per_second=1e6, burst=1_000_000)
    app = build_app(
        settings=Settings(),
        service="fuzz",
        title="Fuzz",
        routes=[routes],
        statuses={NotThere: 404},
        verifier=mint.verifier(),
        revocations=FakeRevocations(),  # type: ignore[arg-type]  # the same port, without servers
        health=Health(),
        limits=RateLimits(read=fast, write=fast, sensitive=fast),
    )
    runner = EdgeRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}", mint.token(life=890)
    await runner.cleanup()


@pytest.mark.req("OP-07", "OP-09")
async def test_the_description_holds_under_fuzzing(
    address: tuple[str, str], tmp_path: Path
) -> None:
    """All checks of schemathesis pass: statuses, schemas, headers, bad data, good data, methods."""
    url, token = address
    options = "--checks all --max-examples 10 --seed 1 --phases examples,coverage,fuzzing,stateful"
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        "run",
        f"{url}/openapi.json",
        *options.split(),
        "--header",
        f"Authorization: Bearer {token}",
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(BUDGET_SECONDS):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert process.returncode == 0, output.decode()[-6000:]
