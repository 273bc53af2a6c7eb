"""Contracts: valid documents, the same on every machine, open to readers of yesterday."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import pytest
from openapi_spec_validator import validate
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from common.bus import Event, Heard
from common.contract import (
    CommandContract,
    Contract,
    describe_messages,
    example_of,
    export,
    open_schema,
)
from common.sockets import Connection, Frame, Frames
from common.web import Context, IdempotencyKey, Page, Reply, Routes

pytestmark = pytest.mark.req("OP-07")


class Colour(StrEnum):
    """An open set."""

    RED = "red"


class Part(BaseModel):
    """A part."""

    model_config = ConfigDict(extra="forbid")

    weight: Annotated[int, Field(gt=3, le=9)]


class ThingMade(Event):
    """A thing was made."""

    subject: ClassVar[str] = "evt.test.thing_made.v1"
    thing_id: UUID
    colour: Colour
    parts: list[Part]
    by_name: dict[str, int]
    reason: str | None
    ends_at: AwareDatetime
    code: Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["ABC"])]
    mail: Literal["a", "b"]


class Ask(BaseModel):
    """Ask for something."""

    count: int


class Told(BaseModel):
    """What was done."""

    done: bool


class OtherHeard(Heard):
    """What we read of another's event."""

    other_id: UUID


class SayData(BaseModel):
    """What is said."""

    text: str


class SaidFrame(Frame):
    """Somebody said something."""

    type: Literal["said"] = "said"
    data: SayData


class Wish(BaseModel):
    """A wish."""

    model_config = ConfigDict(extra="forbid")

    text: str


class WishView(BaseModel):
    """What became of it."""

    model_config = ConfigDict(extra="forbid")

    wish_id: UUID


class Gone(Exception):
    """It is gone."""

    code: ClassVar[str] = "gone_for_good"


class Search(BaseModel):
    """A query."""

    limit: Annotated[int, Field(ge=1, le=5)] = 2
    cursor: str | None = None


routes = Routes(tag="wishes")


@routes.post("/api/wishes", roles={"customer"}, status=201, replies={200: WishView})
async def make_wish(
    ctx: Context, body: Wish, idempotency_key: IdempotencyKey
) -> WishView | Reply[WishView]:
    """Make a wish.

    It may come true.
    """
    raise NotImplementedError


@routes.get("/api/wishes", roles={"operator"})
async def list_wishes(query: Search) -> Page[WishView]:
    """List wishes."""
    raise NotImplementedError


@routes.delete("/api/wishes/{wish_id}", roles={"customer"}, raises=(Gone,))
async def drop_wish(wish_id: UUID) -> None:
    """Drop a wish."""


@pytest.fixture
def contract() -> Contract:
    """A contract with everything in it."""
    frames = Frames()

    @frames.on("say", SayData)
    async def say(_connection: Connection, _data: SayData, _frame_id: str | None) -> None:
        return None

    return Contract(
        service="test",
        title="Test",
        routes=[routes],
        statuses={Gone: 410},
        events=[ThingMade],
        heard={"evt.other.thing_done.v1": OtherHeard},
        commands=[CommandContract("cmd.test.do_thing.v1", Ask, Told)],
        socket_path="/api/shared/test/ws",
        frames_in=frames,
        frames_out=[SaidFrame],
    )


def test_the_files_are_the_same_twice(contract: Contract, tmp_path: Path) -> None:
    """Exporting again changes no byte; what is no longer promised is removed."""
    first = {path.name: path.read_bytes() for path in export(contract, tmp_path)}
    (tmp_path / "examples" / "evt.test.old.v1.json").write_text("{}")
    second = {path.name: path.read_bytes() for path in export(contract, tmp_path)}

    assert first == second
    assert {
        "asyncapi.json",
        "openapi.json",
        "evt.test.thing_made.v1.json",
        "cmd.test.do_thing.v1.json",
        "cmd.test.do_thing.v1.reply.json",
    } == set(first)
    assert not (tmp_path / "examples" / "evt.test.old.v1.json").exists()


def test_the_http_document_is_valid(contract: Contract, tmp_path: Path) -> None:
    """OpenAPI 3.1, with every status that a route can give."""
    export(contract, tmp_path)
    document = json.loads((tmp_path / "openapi.json").read_bytes())
    validate(document)
    made = document["paths"]["/api/wishes"]["post"]
    dropped = document["paths"]["/api/wishes/{wish_id}"]["delete"]

    assert document["openapi"] == "3.1.0"
    assert {"201", "200", "400", "401", "403", "408", "413", "415", "422", "429", "500", "503"} == (
        set(made["responses"])
    )
    assert {"204", "401", "403", "404", "410", "422", "429", "500", "503"} == set(
        dropped["responses"]
    )
    assert made["security"] == [{"bearer": []}]
    assert "gone_for_good" in dropped["responses"]["410"]["description"]


def test_bodies_stay_closed_and_answers_open(contract: Contract, tmp_path: Path) -> None:
    """A request model that refuses unknown fields says so; an answer may grow."""
    export(contract, tmp_path)
    schemas = json.loads((tmp_path / "openapi.json").read_bytes())["components"]["schemas"]

    assert schemas["Wish"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["WishView"]


def test_every_reference_of_the_messages_resolves(contract: Contract) -> None:
    """AsyncAPI 3: subjects, commands with answers and the socket, all references alive."""
    document = describe_messages(contract)
    references = list(_references(document))

    assert references
    for reference in references:
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
    assert document["asyncapi"] == "3.0.0"
    assert {
        "evt_test_thing_made_v1",
        "evt_other_thing_done_v1",
        "cmd_test_do_thing_v1",
        "cmd_test_do_thing_v1_reply",
        "socket",
    } == set(document["channels"])
    assert {"auth_in", "say_in", "said_out", "restart_out"} <= set(
        document["channels"]["socket"]["messages"]
    )


def _references(part: Any) -> Any:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def test_an_event_may_grow_for_its_readers(contract: Contract) -> None:
    """Producers forbid unknown fields; the exported schema does not, at any depth."""
    document = describe_messages(contract)

    assert "additionalProperties" not in document["components"]["schemas"]["ThingMade"]
    assert "additionalProperties" not in document["components"]["schemas"]["Part"]
    assert open_schema({"a": [{"additionalProperties": False}]}) == {"a": [{}]}
    assert open_schema({"additionalProperties": {}}) == {"additionalProperties": {}}


def test_an_example_is_valid_and_the_same_every_day() -> None:
    """Every field is filled within its bounds, without clock or chance."""
    example = example_of(ThingMade)

    assert example == example_of(ThingMade)
    assert (example.parts[0].weight, example.code, example.colour) == (4, "ABC", Colour.RED)
    assert example.reason is not None
    assert example == ThingMade.model_validate_json(example.model_dump_json())


def test_two_models_of_one_name_are_refused() -> None:
    """Schemas are found by name: a second, different model of a name is a mistake."""

    class Told(BaseModel):  # the module has another one
        other: int

    twice = Contract(
        service="x",
        title="X",
        commands=[
            CommandContract("cmd.x.a.v1", Ask, Told),
            CommandContract("cmd.x.b.v1", Ask, globals()["Told"]),
        ],
    )
    with pytest.raises(ValueError, match="Told"):
        describe_messages(twice)


def test_an_error_without_a_status_is_a_mistake(tmp_path: Path) -> None:
    """A route that declares an error which the service gives no status does not start."""
    wrong = Contract(service="x", title="X", routes=[routes])
    with pytest.raises(TypeError, match="Gone"):
        export(wrong, tmp_path)


@pytest.mark.parametrize("path", ["/a/{missing}", "/a"])
def test_a_handler_that_cannot_be_bound_is_refused(path: str) -> None:
    """A typo in a path or a parameter fails when the module is read, not when it is called."""

    async def handler(other: int) -> None:
        raise NotImplementedError(other)

    with pytest.raises(TypeError, match="cannot bind"):
        Routes().get(path)(handler)
