"""Addresses of servers that run elsewhere: a wrong one is told at once, with what to do."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from temani import elsewhere, ports
from temani.elsewhere import NoServer
from temani.main import build_parser, main
from temani.places import Options
from temani.servers import Nats, Postgres, Valkey

_URLS = {
    "--postgres-url": "postgresql://postgres:hush@127.0.0.1:{port}/postgres",
    "--valkey-url": "valkey://:hush@127.0.0.1:{port}/0",
    "--nats-url": "nats://me:hush@127.0.0.1:{port}",
}


def _options(option: str, port: int) -> Options:
    url = _URLS[option].format(port=port)
    return {
        "--postgres-url": Options(postgres_url=url),
        "--valkey-url": Options(valkey_url=url),
        "--nats-url": Options(nats_url=url),
    }[option]


async def test_servers_that_answer_are_taken(
    postgres: Postgres, valkey: Valkey, nats: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real ones give a sign of life."""
    monkeypatch.setattr(elsewhere, "SECONDS", 30.0)
    await elsewhere.look(
        Options(postgres_url=postgres.url, valkey_url=valkey.url, nats_url=nats.url)
    )


@pytest.mark.parametrize("option", _URLS)
async def test_an_address_where_nothing_is_names_it_and_the_way_out(option: str) -> None:
    """Address, reason and option are told, a password is not."""
    port = ports.free_port()

    with pytest.raises(NoServer) as told:
        await elsewhere.look(_options(option, port))

    words = str(told.value)
    assert f"127.0.0.1:{port}" in words
    assert f"without {option} Temani starts one of its own" in words
    assert "hush" not in words


@pytest.fixture
async def stranger() -> AsyncIterator[int]:
    """A port where something speaks, but none of our servers' tongues."""

    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-somebody\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("option", _URLS)
async def test_another_program_at_the_address_is_noticed(option: str, stranger: int) -> None:
    """A port that is taken by something else is not a server of ours."""
    with pytest.raises(NoServer, match=f"127.0.0.1:{stranger}"):
        await elsewhere.look(_options(option, stranger))


@pytest.mark.parametrize("option", _URLS)
@pytest.mark.parametrize(
    "text", ["nonsense", "http://127.0.0.1:1", "{scheme}://h:port", "127.0.0.1"]
)
def test_what_is_no_address_is_wrong_usage(
    option: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with 2 and an example before anything starts."""
    scheme = _URLS[option].partition(":")[0]

    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["up", option, text.format(scheme=scheme)])

    assert ended.value.code == 2
    assert f"write one like {scheme}://" in capsys.readouterr().err


def test_the_command_ends_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    """`temani up` with a wrong address starts nothing and says one line."""
    url = f"valkey://127.0.0.1:{ports.free_port()}/0"

    assert main(["up", "--detach", "--valkey-url", url]) == 1

    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("✗ no Valkey answers at 127.0.0.1:")
