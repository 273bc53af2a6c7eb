"""Identifiers, time, settings, logs, traces."""

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import structlog

from common import failpoints, log, trace
from common.clock import Clock, SystemClock
from common.ids import new_id
from common.settings import ServiceSettings, load_settings
from common.testing import FakeClock, Proxy, eventually, in_time
from temani.ports import free_port


def test_ids_are_uuid_7_and_sort_by_time() -> None:
    """Ids made one after the other are in order as far as the clock tells them apart."""
    before = datetime.now(UTC)
    ids = [new_id() for _ in range(1000)]

    assert {each.version for each in ids} == {7}
    assert {each.variant for each in ids} == {"specified in RFC 4122"}
    assert len(set(ids)) == 1000
    first, last = ids[0], new_id()
    assert first.int >> 80 <= last.int >> 80
    made = datetime.fromtimestamp((last.int >> 80) / 1000, UTC)
    assert before - timedelta(milliseconds=1) <= made <= datetime.now(UTC)


def test_clocks_are_aware() -> None:
    """The real clock speaks UTC; the fake one moves when told, and can be skewed."""
    real: Clock = SystemClock()
    assert real.now().utcoffset() == timedelta(0)
    assert real.monotonic() <= real.monotonic()

    fake = FakeClock()
    before, tick = fake.now(), fake.monotonic()
    assert fake.advance(5) == before + timedelta(seconds=5)
    assert fake.monotonic() == tick + 5
    fake.skew(timedelta(minutes=-2))
    assert fake.now() < before
    assert fake.monotonic() == tick + 5


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upper-case names without a prefix; empty means absent; what was read does not change."""
    monkeypatch.setenv("HTTP_PORT", "9103")
    monkeypatch.setenv("LOG_LEVEL", "")
    settings = load_settings(ServiceSettings)

    assert settings.http_port == 9103
    assert settings.log_level == "info"
    with pytest.raises(ValueError, match="frozen"):
        settings.http_port = 1  # type: ignore[misc]


def test_wrong_settings_are_named_without_their_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A process with a wrong variable says which one, keeps its value to itself, and exits 2."""
    monkeypatch.setenv("HTTP_PORT", "hunter2")
    with pytest.raises(SystemExit) as exit_:
        load_settings(ServiceSettings)

    said = capsys.readouterr().err
    assert exit_.value.code == 2
    assert "HTTP_PORT" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("ending", ["/3", "/?db=3", "/0?db=3"])
def test_a_valkey_is_not_shared_by_its_databases(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    """Two stacks parted by a database number would share one mirror: no start, and what to do."""
    monkeypatch.setenv("VALKEY_URL", "valkey://me:hunter2@host:6379" + ending)
    with pytest.raises(SystemExit):
        load_settings(ServiceSettings)

    said = capsys.readouterr().err
    assert "VALKEY_URL" in said
    assert "a Valkey of its own" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("url", [None, "valkey://host", "valkey://host:6379/", "rediss://host/0"])
def test_the_first_database_is_the_one_that_is_used(url: str | None) -> None:
    """Named or not, and without a Valkey as well."""
    assert ServiceSettings(valkey_url=url).valkey_url == url


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What a configured process writes."""
    out = StringIO()
    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    monkeypatch.setattr("sys.stdout", out)
    log.configure("test", level="info", fmt="json")
    yield out
    root.handlers[:] = kept
    root.setLevel(level)
    structlog.reset_defaults()


def by_event(lines: StringIO) -> dict[str, dict[str, object]]:
    """The lines by what they tell; neighbours in this process may have written some as well."""
    return {line["event"]: line for line in map(json.loads, lines.getvalue().splitlines())}


def test_logs_are_json_lines_without_secrets(lines: StringIO) -> None:
    """Structured, with service and level; secrets by name and phones by shape are hidden."""
    log.get_logger("unit").info(
        "otp_sent",
        refresh_token="abc",
        phone="+6281234567890",
        detail="sent to +6281234567890",
        where="postgresql://auth:pw123@db/temani",
        attempts=2,
    )
    logging.getLogger("library").warning("from %s", "elsewhere")

    written = by_event(lines)
    ours = written["otp_sent"]
    assert "from elsewhere" in written
    assert ours["service"] == "test"
    assert ours["level"] == "info"
    assert ours["attempts"] == 2
    assert "6281234567890" not in lines.getvalue()
    assert "pw123" not in lines.getvalue()
    assert ours["refresh_token"] == "***"


@pytest.mark.req("AU-12")
def test_tokens_are_hidden_wherever_they_slip_into_a_line(lines: StringIO) -> None:
    """Access and refresh tokens are hidden by their shape; what libraries say of clients too."""
    access, refresh = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-_x", "tmr1_" + "aB-_" * 20
    log.get_logger("unit").info("refused", detail=f"got {access} and {refresh}.", eyJ="no token")
    logging.getLogger("library").warning("Client protocols %r", ["bearer", access])
    logging.getLogger("aiohttp.websocket").warning("Client protocols %r", ["my words"])

    assert "c2ln" not in lines.getvalue()
    assert "aB-_" not in lines.getvalue()
    assert "my words" not in lines.getvalue()
    assert by_event(lines).keys() >= {"refused", "Client protocols ['bearer', '***']"}


def test_levels_below_the_threshold_are_silent(lines: StringIO) -> None:
    """Debug lines cost and write nothing at level info."""
    log.get_logger("unit").debug("quiet")
    log.get_logger("unit").info("loud")
    assert "loud" in by_event(lines)
    assert "quiet" not in by_event(lines)


def test_a_trace_goes_on_across_processes() -> None:
    """A received traceparent keeps its trace with a new span; nonsense starts a new one."""
    received = f"00-{'a' * 32}-{'b' * 16}-01"
    with trace.continued(received) as header:
        assert header.split("-")[1] == "a" * 32
        assert header.split("-")[2] != "b" * 16
        assert trace.traceparent().split("-")[1] == "a" * 32
        assert structlog.contextvars.get_contextvars()["trace_id"] == "a" * 32
    with trace.continued("nonsense") as header:
        assert header.split("-")[1] != "a" * 32
    assert "trace_id" not in structlog.contextvars.get_contextvars()


async def test_the_proxy_cuts_and_heals() -> None:
    """What it holds back arrives after healing; what it refuses is refused."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", free_port())
    async with server, Proxy(server.sockets[0].getsockname()[1]) as wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        wire.blackhole()
        writer.write(b"late")
        answer = asyncio.ensure_future(reader.read(100))
        await asyncio.wait((answer,), timeout=0.1)
        assert not answer.done()
        wire.heal()
        assert await answer == b"late"
        wire.refuse()
        with pytest.raises(ConnectionError):
            await reader.readexactly(1)
        writer.close()


async def test_eventually_waits_and_gives_up() -> None:
    """It returns the first truthy answer, and fails when there is none in time."""
    answers = iter([0, None, "yes"])
    assert await eventually(lambda: next(answers)) == "yes"
    with pytest.raises(AssertionError, match="not within"):
        await eventually(lambda: False, timeout=0.05)


def test_failpoints_are_off_unless_asked_for() -> None:
    """Nothing is active by default; a drill names the place; production refuses."""
    assert failpoints._active == {}
    assert failpoints.parse({}) == {}
    chances = failpoints.parse({"FAILPOINTS": "after_commit=kill:0.1,before_compare=kill"})
    assert chances == {"after_commit": 0.1, "before_compare": 1.0}
    with pytest.raises(ValueError, match="production"):
        failpoints.parse({"FAILPOINTS": "a=kill:1", "ENVIRONMENT": "production"})
    with pytest.raises(ValueError, match="'a=explode'"):
        failpoints.parse({"FAILPOINTS": "a=explode"})


async def test_a_bound_is_held_by_one_try_of_some() -> None:
    """Tries that are late are forgiven while others are left; any other failure is not."""
    tries: list[int] = []

    async def third() -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise TimeoutError

    async def never() -> None:
        raise TimeoutError

    async def wrong() -> None:
        raise AssertionError

    await in_time(third, tries=3)
    assert tries == [0, 1, 2]
    with pytest.raises(TimeoutError):
        await in_time(never)
    with pytest.raises(AssertionError):
        await in_time(wrong)
