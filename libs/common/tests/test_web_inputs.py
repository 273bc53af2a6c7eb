"""What comes in: every wrong input gets a problem document with a stable code, never a 500."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import pytest
from aiohttp.test_utils import TestClient, TestServer
from pydantic import AwareDatetime, BaseModel, Field

from common import baseline
from common.testing import load_problem
from common.web import Context, Health, IdempotencyKey, Routes, build_app

pytestmark = pytest.mark.req("OP-09")

JSON = {"Content-Type": "application/json"}
Client = TestClient[Any, Any]


class Settings:
    """What the edge reads."""

    trusted_hops = 1


class Wish(BaseModel):
    """A body."""

    text: Annotated[str, Field(min_length=1, max_length=20)]
    count: Annotated[int, Field(ge=0, le=10)] = 0
    share: float = 0.5


class Search(BaseModel):
    """A query."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    state: Literal["open", "closed"] | None = None
    since: AwareDatetime | None = None
    tag: list[str] = []


class Answer(BaseModel):
    """What was understood."""

    got: dict[str, Any]


routes = Routes(tag="wishes")


@routes.get("/api/wishes")
async def search(query: Search) -> Answer:
    """Search."""
    return Answer(got=query.model_dump(mode="json"))


@routes.post("/api/wishes", status=201)
async def make(ctx: Context, body: Wish, idempotency_key: IdempotencyKey | None) -> Answer:
    """Make."""
    return Answer(got={**body.model_dump(), "key": idempotency_key, "ip": ctx.client_ip})


@routes.get("/api/wishes/{wish_id}/{number}")
async def show(wish_id: UUID, number: int) -> Answer:
    """Show."""
    return Answer(got={"wish_id": str(wish_id), "number": number})


@routes.put("/api/wishes/{name}")
async def name_it(name: str, idempotency_key: IdempotencyKey, body: Wish | None = None) -> None:
    """Name."""
    assert name
    assert idempotency_key
    assert body is None or body.text


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of the routes above."""
    app = build_app(
        settings=Settings(),
        service="test",
        title="Test",
        routes=[routes],
        statuses={},
        verifier=None,
        revocations=None,
        health=Health(),
    )
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nope",
        b'{"text":NaN}',
        b'{"text":"a","share":Infinity}',
        b'{"text":"\xff"}',
        b'{"text":"\\ud800"}',
        b'{"text":"a","share":1e999}',
        b'{"text":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"text":"a","share":1.0,"more":' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"text":"a","count":1.0,"more":' + b'{"a":' * 65 + b"1" + b"}" * 65 + b"}",
        b'{"text":"a","count":' + b"9" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        b'{"text":"a\x00"}',
    ],
)
async def test_what_is_no_json_is_refused(client: Client, raw: bytes) -> None:
    """A body that is no strict JSON in UTF-8 gets 400 invalid_json."""
    answer = await client.post("/api/wishes", data=raw, headers=JSON)
    problem = await load_problem(answer)

    assert (answer.status, problem["code"]) == (400, "invalid_json")


async def test_brackets_in_a_text_are_no_depth(client: Client) -> None:
    """Only nesting is bounded: what people write, and broad documents, pass."""
    raw = b'{"text":"[[[[[[[[[[","more":[' + b",".join([b"[{}]"] * 500) + b"]}"
    deep = b'{"text":"a","share":1.0,"more":' + b"[" * 60 + b"]" * 60 + b"}"

    answers = [await client.post("/api/wishes", data=body, headers=JSON) for body in (raw, deep)]

    assert [answer.status for answer in answers] == [201, 201]


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b"[]",
        b"null",
        b"1",
        b'{"text":5}',
        b'{"text":null}',
        b'{"text":""}',
        b'{"text":"a","count":"5"}',
        b'{"text":"a","count":true}',
        b'{"text":"a","count":1.5}',
        b'{"text":"a","count":11}',
        b'{"text":"a","count":123456789012345678901234567890}',
        b'{"text":"a\\u0000"}',
        b'{"text":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}',
    ],
)
async def test_a_body_of_another_shape_is_refused(client: Client, raw: bytes) -> None:
    """JSON of another shape gets 422 invalid_body; NUL is one, as Postgres cannot store it."""
    answer = await client.post("/api/wishes", data=raw, headers=JSON)
    problem = await load_problem(answer)

    assert (answer.status, problem["code"]) == (422, "invalid_body")


async def test_problems_name_places_and_never_values(client: Client) -> None:
    """The errors of a problem point at the field and do not repeat what was sent."""
    answer = await client.post("/api/wishes", json={"text": 1, "count": "sesame"})
    problem = await load_problem(answer)

    assert {"/text", "/count"} == {error["pointer"] for error in problem["errors"]}
    assert "sesame" not in await answer.text()


async def test_unknown_fields_and_whole_floats_pass(client: Client) -> None:
    """As the schema says: more fields are ignored, NUL in them too, and 3.0 is an integer."""
    raw = b'{"text":"a","count":3.0,"more":{"\\u0000":[1.0]}}'
    answer = await client.post("/api/wishes", data=raw, headers=JSON)

    assert answer.status == 201
    assert (await answer.json())["got"]["count"] == 3


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/jsonx"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "multipart/form-data"},
    ],
)
async def test_only_json_is_taken(client: Client, headers: dict[str, str]) -> None:
    """Another media type, charset or encoding gets 415."""
    answer = await client.post(
        "/api/wishes",
        data=b'{"text":"a"}',
        headers=headers,
        skip_auto_headers=["Content-Type"],
    )

    assert (await load_problem(answer))["code"] == "unsupported_media_type"
    assert answer.status == 415


async def test_a_large_body_is_refused(client: Client) -> None:
    """More than 64 KiB gets 413, with and without a length."""
    for data in (b"x" * 70_000, _chunks()):
        answer = await client.post("/api/wishes", data=data, headers=JSON)

        assert (await load_problem(answer))["code"] == "body_too_large"
        assert answer.status == 413


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(20):
        yield b"x" * 5000


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=",
        "limit=1.5",
        "limit=1_0",
        "limit=%201",
        "limit=1&limit=2",
        "limit=99999999999999999999999",
        "state=other",
        "state=open%00",
        "since=5",
        "since=2026-01-01",
        "since=2026-01-01T00:00:00",
        "tag=a%00",
    ],
)
async def test_a_query_of_another_shape_is_refused(client: Client, query: str) -> None:
    """A wrong parameter gets 422 invalid_query."""
    answer = await client.get(f"/api/wishes?{query}")

    assert (await load_problem(answer))["code"] == "invalid_query"
    assert answer.status == 422


async def test_a_query_is_read_by_type(client: Client) -> None:
    """Numbers, lists and times arrive as what the model names; unknown parameters are ignored."""
    answer = await client.get(
        "/api/wishes?limit=7&tag=a&tag=b&since=2026-01-01T00:00:00Z&utm_source=x"
    )

    got = (await answer.json())["got"]
    assert (got["limit"], got["tag"]) == (7, ["a", "b"])
    assert got["since"].startswith("2026-01-01")


@pytest.mark.parametrize(
    "path",
    [
        "1/2",
        "%00/2",
        "00000000000000000000000000000001/2",
        "{00000000-0000-0000-0000-000000000001}/2",
        "00000000-0000-0000-0000-000000000001/x",
        "00000000-0000-0000-0000-000000000001/1.0",
        "00000000-0000-0000-0000-000000000001/99999999999999999999999",
        "%ff%fe/1",
        "..%2f..%2fetc/1",
    ],
)
async def test_a_path_of_another_shape_is_nowhere(client: Client, path: str) -> None:
    """Nothing can be at a path whose ids have the wrong shape: 404 invalid_path."""
    answer = await client.get(f"/api/wishes/{path}")

    assert (await load_problem(answer))["code"] in ("invalid_path", "not_found")
    assert answer.status == 404


async def test_path_parts_are_read_by_type(client: Client) -> None:
    """Ids and numbers of the path arrive as their types."""
    wish_id = uuid4()
    answer = await client.get(f"/api/wishes/{wish_id}/-5")

    assert {"got": {"wish_id": str(wish_id), "number": -5}} == await answer.json()


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 129])
async def test_a_garbage_idempotency_key_is_refused(client: Client, key: str) -> None:
    """A key that is not 1 to 128 visible ASCII characters gets 422 invalid_header."""
    answer = await client.post("/api/wishes", json={"text": "a"}, headers={"Idempotency-Key": key})

    assert (await load_problem(answer))["code"] == "invalid_header"
    assert answer.status == 422


async def test_a_needed_idempotency_key_must_be_there(client: Client) -> None:
    """A route that needs the key refuses without it, and with two of them."""
    missing = await client.put("/api/wishes/one")
    twice = await client.put(
        "/api/wishes/one", headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    )
    fine = await client.put("/api/wishes/one", headers={"Idempotency-Key": "a"})

    assert (missing.status, twice.status, fine.status) == (422, 422, 204)


async def test_an_optional_body_may_be_absent_but_not_wrong(client: Client) -> None:
    """A body with a default may be left out; when it is there it must have the shape."""
    headers = {"Idempotency-Key": "a"}
    wrong = await client.put("/api/wishes/one", json={"text": 1}, headers=headers)
    right = await client.put("/api/wishes/one", json={"text": "a"}, headers=headers)

    assert (wrong.status, right.status) == (422, 204)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "DELETE", "TRACE", "PROPFIND"])
async def test_other_methods_are_refused_with_what_is_allowed(client: Client, method: str) -> None:
    """A method that a path does not know gets 405 and the list of those it knows."""
    answer = await client.request(method, "/api/wishes")

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, POST"
    if method != "HEAD":
        assert (await load_problem(answer))["code"] == "method_not_allowed"


async def test_unknown_paths_and_expectations_are_problems(client: Client) -> None:
    """Even what no route handles is answered in the same form."""
    nowhere = await client.get("/nowhere?x=1")
    expects = await client.post("/api/wishes", headers={"Expect": "a-miracle"})

    assert (await load_problem(nowhere))["code"] == "not_found"
    assert (await load_problem(expects))["code"] == "expectation_failed"


@pytest.mark.parametrize(
    ("forwarded", "hop"),
    [
        ([], "127.0.0.1"),
        (["203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
        (["6.6.6.6, garbage"], "127.0.0.1"),
        (["2001:db8::1"], "2001:db8::1"),
    ],
)
async def test_the_address_is_read_from_the_right(
    client: Client, forwarded: list[str], hop: str
) -> None:
    """With one trusted gateway the last entry counts: what stands left of it anyone can write."""
    headers = [("X-Forwarded-For", value) for value in forwarded]
    answer = await client.post("/api/wishes", json={"text": "a"}, headers=headers)

    assert hop == (await answer.json())["got"]["ip"]


async def test_a_body_that_does_not_come_is_not_waited_for(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that dribbles is given up with 408, so that it holds no place for ever."""
    monkeypatch.setattr(baseline, "HTTP_BODY_TIMEOUT", 0.05)
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        b"POST /api/wishes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 50\r\n\r\n{"
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()

    assert b" 408 " in answer.splitlines()[0]
