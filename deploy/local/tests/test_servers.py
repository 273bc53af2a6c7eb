"""The data servers start, survive what they must, and leave nothing behind."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest
from valkey.asyncio import Valkey as Client
from valkey.exceptions import ResponseError

from common.testing import eventually
from temani.servers import Nats, Postgres, Server, StartFailed, Valkey

_ALL = (Postgres, Valkey, Nats)


def _alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _family(server: Server) -> list[int]:
    own = psutil.Process(server.pid)
    return [own.pid, *(child.pid for child in own.children(recursive=True))]


@pytest.mark.req("OP-01")
@pytest.mark.parametrize("make", _ALL)
async def test_a_stopped_server_is_gone(make: type[Server], scratch: Path) -> None:
    """A server that was stopped ended by itself and left no process."""
    server = make(scratch / f"stop-{make.name}")
    await server.start()
    family = _family(server)
    # NATS answers SIGTERM with the exit code 1, and Postgres SIGINT with 0.
    assert await server.stop() in {0, 1}
    assert not [pid for pid in family if _alive(pid)]


@pytest.mark.req("OP-01")
async def test_postgres_survives_a_crash_and_never_runs_as_root(scratch: Path) -> None:
    """What was committed before a crash is there afterwards; Postgres itself is not root."""
    server = Postgres(scratch / "crash")
    await server.start()
    try:
        connection = await asyncpg.connect(server.url)
        await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        assert psutil.Process(server.pid).uids().effective != 0
        await server.kill()
        connection.terminate()
        await server.start()
        again = await asyncpg.connect(server.url)
        assert await again.fetchval("SELECT n FROM kept") == 7
        await again.close()
    finally:
        await server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give root up")
@pytest.mark.req("OP-01")
async def test_postgres_runs_below_a_folder_closed_to_others(scratch: Path) -> None:
    """As root it runs although `nobody` may not walk to its data (below /root, for example)."""
    closed = scratch / "closed"
    closed.mkdir(mode=0o700)
    server = Postgres(closed / "postgres")
    await server.start()
    assert await server.stop() == 0


async def test_a_frozen_server_is_silent_until_thawed(scratch: Path) -> None:
    """Freezing keeps connections open and silent; thawing lets the answer come."""
    server = Valkey(scratch / "freeze")
    await server.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        server.freeze()
        writer.write(b"PING\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.readline()
        server.thaw()
        async with asyncio.timeout(20):
            assert await reader.readline() == b"+PONG\r\n"
        writer.close()
        await writer.wait_closed()
    finally:
        await server.stop()


async def test_valkey_is_a_cluster_of_one_that_evicts_nothing(valkey_url: str) -> None:
    """Every slot is served, keys across slots are refused together, nothing is evicted."""
    client = Client.from_url(valkey_url)
    try:
        await client.set("any key", "any value")
        assert await client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        with pytest.raises(ResponseError, match="slot"):
            await client.mget("a", "b")
    finally:
        await client.aclose()


async def test_a_server_that_cannot_start_says_why(scratch: Path) -> None:
    """A failed start carries the end of the server's own log."""
    first = Nats(scratch / "first")
    await first.start()
    second = Nats(scratch / "second", port=first.port)
    try:
        with pytest.raises(StartFailed, match="in use"):
            await second.start()
    finally:
        await first.stop()


_ORPHANING = """
import asyncio, pathlib, sys
from valkey.asyncio import Valkey as Client
from valkey.exceptions import ResponseError

from temani.servers import Nats, Postgres, Valkey

async def main():
    folder = pathlib.Path(sys.argv[1])
    servers = [Postgres(folder / "postgres"), Valkey(folder / "valkey"), Nats(folder / "nats")]
    await asyncio.gather(*(server.start() for server in servers))
    print(*(server.pid for server in servers), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.req("OP-01")
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
async def test_servers_die_with_their_launcher(scratch: Path) -> None:
    """A launcher that is killed outright takes its servers with it."""
    folder = scratch / "orphans"
    folder.mkdir()
    folder.chmod(0o755)
    command = [sys.executable, "-c", _ORPHANING, str(folder)]
    launcher = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert launcher.stdout is not None
    pids = [int(word) for word in (await launcher.stdout.readline()).split()]
    assert len(pids) == 3
    launcher.kill()
    await launcher.wait()
    await eventually(lambda: not [pid for pid in pids if _alive(pid)], timeout=40)
