"""What the launcher keeps, prints and refuses; how it watches what it started."""

import asyncio
import importlib
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from common.testing import eventually
from temani import banner, environment, keys, layout, ports, process, profiles, state
from temani.main import build_parser, main
from temani.process import Process
from temani.supervisor import Supervisor


def _state(**changes: object) -> state.State:
    services = {name: f"http://127.0.0.1:{9101 + n}" for n, name in enumerate(layout.SERVICES)}
    values: dict[str, object] = {
        "launcher_pid": 1,
        "started_at": "2026-01-01T00:00:00+00:00",
        "profile": "local",
        "ready": True,
        "urls": {
            **services,
            "gateway": "http://127.0.0.1:8080",
            "inbox": "http://127.0.0.1:8090/dev/inbox",
        },
        "replicas": {name: [url] for name, url in services.items()},
        "operator": {"email": "o@temani.test", "password": "the password"},
        "mitras": [{"phone": "+6281200000101", "display_name": "Sari"}],
        "customers": ["+6281300000201"],
        "parts": {"auth": state.Part(pid=7, url=services["auth"], log="/x")},
        **changes,
    }
    return state.State(**values)  # type: ignore[arg-type] # a plain record of the test


@pytest.mark.req("OP-01")
def test_the_banner_tells_everything_a_newcomer_needs() -> None:
    """Addresses, every login, where codes appear, how to stop and to begin anew."""
    text = banner.render(_state(), seconds=4.2, moved={"gateway": 20001})
    for word in (
        "http://127.0.0.1:8080",
        "/dev/inbox",
        "o@temani.test",
        "the password",
        "+6281200000101",
        "+6281300000201",
        "http://127.0.0.1:9104/docs",
        "/metrics",
        "Ctrl-C",
        "make reset",
        "gateway → 20001",
    ):
        assert word in text


def test_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """The state file is private and complete."""
    written = _state()
    state.write(written, tmp_path)
    assert state.last(tmp_path) == written
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600


@pytest.mark.req("OP-01")
def test_only_one_stack_uses_a_folder(tmp_path: Path) -> None:
    """A second launcher is refused and told where the first one is; a dead one's lock is free."""
    with pytest.raises(state.NotRunning):
        state.load(tmp_path)
    with state.only_one(tmp_path):
        state.write(_state(), tmp_path)
        assert state.load(tmp_path).launcher_pid == 1
        with pytest.raises(state.AlreadyRunning, match="8080"), state.only_one(tmp_path):
            pass
    assert not state.is_running(tmp_path)
    with pytest.raises(state.NotRunning):
        state.load(tmp_path)


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    """Keys are made on the first run, kept on the next, and readable by their owner alone."""
    first = keys.load(tmp_path / "secrets")
    assert keys.load(tmp_path / "secrets") == first
    assert b"EC PRIVATE" in first.signing_key_file.read_bytes() or (
        b"BEGIN PRIVATE KEY" in first.signing_key_file.read_bytes()
    )
    assert len(first.refresh_secret_file.read_bytes()) >= 32
    for file in (tmp_path / "secrets").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(set(first.postgres_passwords.values())) == 10


@pytest.mark.parametrize("name", profiles.names())
def test_profiles_are_whole(name: str) -> None:
    """Each profile has prices and twelve different mitras to seed, and settings that are pairs."""
    profile = profiles.load(name)
    assert profile.tiers
    assert len({mitra.phone for mitra in profile.mitras}) == 12
    assert all(key.isupper() and value for key, value in profile.settings.items())


@pytest.mark.parametrize("service", layout.SERVICES)
@pytest.mark.parametrize("name", profiles.names())
def test_every_service_accepts_every_profile(
    name: str, service: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The settings of a profile pass each service's own checks, as the launcher hands them over."""
    addresses = environment.Addresses(
        gateway_port=8080,
        providers_port=8090,
        postgres_admin_url="postgresql://postgres:secret@127.0.0.1:15432/postgres",
        valkey_url="valkey://127.0.0.1:16379/0",
        nats_url="nats://127.0.0.1:14222",
        service_ports={each: [9101 + n] for n, each in enumerate(layout.SERVICES)},
    )
    env = environment.for_service(
        service,
        0,
        addresses=addresses,
        keys=keys.load(tmp_path / "secrets"),
        profile=profiles.load(name),
    )
    for variable, value in env.items():
        monkeypatch.setenv(variable, value)
    settings = importlib.import_module(f"{service}.settings").Settings()
    assert settings.http_port == addresses.service_ports[service][0]
    for variable, value in profiles.load(name).settings.items():
        field = variable.lower()
        if hasattr(settings, field) and isinstance(getattr(settings, field), float):
            assert getattr(settings, field) == float(value)


def test_profiles_share_their_tiers() -> None:
    """Changing the profile of a folder changes the same tiers, so none is left from before."""
    assert len({tuple(t.tier_id for t in profiles.load(n).tiers) for n in profiles.names()}) == 1


def test_a_taken_port_is_replaced() -> None:
    """A wanted port that somebody uses is answered with a free one; none is given twice."""
    port = ports.free_port()
    assert ports.prefer(port) != port
    assert len({ports.free_port() for _ in range(50)}) == 50


def test_a_port_is_given_to_one_process_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another launcher was given is not given here, though nobody listens there yet."""
    # Of ports that nobody else is given: tests side by side would take what the other lets go.
    give = (
        "from temani import ports; ports._FIRST, ports._LAST = 19_000, 19_900;"
        " print(ports.free_port(), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", give], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        assert ports.is_free(theirs)
        monkeypatch.setattr(ports, "_FIRST", theirs)
        monkeypatch.setattr(ports, "_LAST", theirs + 1)
        with pytest.raises(OSError, match="no free port"):
            ports.free_port()
        other.communicate("\n")
    assert ports.free_port() == theirs


class _Part:
    """A part of the stack made of one shell command."""

    url = "http://127.0.0.1:1"
    name = "part"

    def __init__(self, script: str, folder: Path) -> None:
        self.log = folder / "part.log"
        self.process = Process(self.name, ["/bin/sh", "-c", script], log=self.log)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.running

    async def start(self) -> None:
        self.process.start()

    async def stop(self) -> int:
        return await self.process.stop()

    async def kill(self) -> int:
        return await self.process.kill()


@pytest.mark.req("OP-01")
async def test_what_crashed_is_started_again(tmp_path: Path) -> None:
    """A crash is told with the end of the log, and the part runs again."""
    said: list[str] = []
    part = _Part("echo alive; exec sleep 60", tmp_path)
    supervisor = Supervisor(part, say=said.append, changed=lambda: None)
    await supervisor.start()
    first = part.pid
    await eventually(lambda: process.last_lines(part.log) == ["alive"])
    await part.process.kill()
    await eventually(lambda: supervisor.restarts == 1)
    assert part.pid != first
    assert "signal 9" in said[0]
    assert "alive" in said[0]
    await supervisor.stop()
    assert not part.running


async def test_what_crashes_for_ever_is_given_up_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five ends within a minute the part stays down, and somebody is told."""
    monkeypatch.setattr("temani.supervisor._FIRST_PAUSE", 0.001)
    said: list[str] = []
    part = _Part("echo no luck; exit 3", tmp_path)
    supervisor = Supervisor(part, say=said.append, changed=lambda: None)
    await supervisor.start()
    await eventually(lambda: supervisor.gave_up)
    assert "stays down" in said[-1]
    assert "ended with code 3" in said[0]
    await supervisor.stop()


async def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    """Stopping never hangs: after the grace period comes the kill."""
    stubborn = Process(
        "stubborn",
        ["/bin/sh", "-c", "trap '' TERM; echo set; while :; do sleep 1; done"],
        log=tmp_path / "log",
    )
    stubborn.start()
    await eventually(lambda: stubborn.last_lines() == ["set"])
    async with asyncio.timeout(30):
        assert await stubborn.stop(grace_seconds=0.1) == -9


@pytest.mark.parametrize(
    "words",
    [
        ["up"],
        ["down"],
        ["status"],
        ["logs"],
        ["reset"],
        ["migrate"],
        ["seed"],
        ["operator", "create"],
        ["token", "mint"],
        ["token", "inspect"],
        ["events", "tail"],
        ["dlq", "list"],
        ["dlq", "replay"],
        ["doctor"],
        ["contract", "check"],
    ],
)
def test_every_command_explains_itself(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """--help and --json work after every command."""
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([*words, "--help"])
    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_without_a_stack_commands_say_so(tmp_path: Path) -> None:
    """A command that needs a running stack ends with 3 and the way to start one."""
    done = subprocess.run(
        [sys.executable, "-m", "temani", "status", "--json"],
        env={"TEMANI_STATE": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 3
    assert b"make up" in done.stderr


def test_doctor_finds_this_machine_well(capsys: pytest.CaptureFixture[str]) -> None:
    """Every program runs and the Caddyfile is valid."""
    assert main(["doctor", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)
    assert {check["check"] for check in checks} >= {"Postgres", "Valkey", "NATS", "Caddy"}


@pytest.mark.parametrize("text", ["chat", "chat=0", "chat=x", "nobody=2"])
def test_replicas_must_name_a_service_and_a_number(text: str) -> None:
    """A wrong --replicas is wrong usage."""
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["up", "--replicas", text])
    assert ended.value.code == 2
