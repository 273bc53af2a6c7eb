"""G1-G5: a heartbeat over HTTP, on the product's own availability service."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from tests.bench.compare import Costs
from tests.bench.driving import Cost, Load, tokens_file
from tests.bench.extras import Missing, c_floor, need, node_peers
from tests.bench.lines import Line, effect
from tests.bench.measure import median, paired, ratio, spread
from tests.bench.rig import Rig, python
from tests.bench.site import BEAT_PATH, Mitra, Site

from temani import ports
from temani.process import Process

TITLE = "a heartbeat over HTTP"
GOALS = ("G1", "G2", "G3", "G4", "G5")

_BEATERS = 1_000
_BEATS = 6_000
_CONNECTIONS = 64
_COLD = 1_500
_VERIFIES = 500
PRODUCT, EMPTY, NAIVE = "product", "aiohttp, empty", "aiohttp, naive"
ORIGINAL, STRONGEST, FLOOR = "Fastify, original", "Fastify, batched", "C floor"
LANE = "bare protocol"


@dataclass(frozen=True, slots=True)
class Runner:
    """One program that takes beats over HTTP, and where."""

    name: str
    process: Process
    port: int


@dataclass(slots=True)
class Field:
    """Everybody who takes part, and why others do not."""

    rig: Rig
    site: Site
    runners: dict[str, Runner]
    absent: dict[str, str]
    beaters: list[Mitra]


async def measure(rig: Rig) -> list[Line]:
    """Measure all side by side, then look what the product stored."""
    field = await _field(rig)
    samples = {
        name: partial(_sample, field, runner, field.beaters, _BEATS)
        for name, runner in field.runners.items()
    }
    found = await paired(samples, rounds=rig.rounds, warm_up=True)
    costs = Costs(found, field.absent, prototypes={LANE})
    lines = await _effects(field, PRODUCT, "G1")
    lines += _of_product(costs)
    if rig.wants("G4"):
        lines += await _of_lane(field, costs)
    if rig.wants("G5"):
        lines += await _cold(field)
    return lines


async def key_file(rig: Rig, site: Site) -> Path:
    """Write the public key for the peers, which know no key sets."""
    file = rig.folder / "key.pem"
    public = site.mint.key.public_key()
    file.write_bytes(
        public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return file


async def _field(rig: Rig) -> Field:
    site = await Site.of(rig)
    process, port = await site.service("availability")
    field = Field(rig, site, {}, {}, site.mitras[:_BEATERS])
    field.runners[PRODUCT] = Runner(PRODUCT, process, port)
    valkey, key = await rig.valkey(), await key_file(rig, site)
    await _join(field, EMPTY, python("tests.bench.peers.aiohttp_floor"))
    await _join(field, NAIVE, python("tests.bench.peers.naive"), valkey.url, key)
    try:
        node, folder = await node_peers(rig)
        script = [node, str(folder / "http.mjs")]
        await _join(field, ORIGINAL, [*script, "original"], valkey.port, key)
        if rig.wants("G4"):
            await _join(field, STRONGEST, [*script, "batch"], valkey.port, key)
            await _let_peer_in(field)
    except Missing as missing:
        field.absent |= dict.fromkeys((ORIGINAL, STRONGEST), str(missing))
    if rig.wants("G4"):
        await _join_lane(field)
    return field


async def _join_lane(field: Field) -> None:
    try:
        floor = await c_floor(field.rig)
        await _join(field, FLOOR, [str(floor)])
    except Missing as missing:
        field.absent[FLOOR] = str(missing)
    try:
        need("httptools")
    except Missing as missing:
        field.absent[LANE] = str(missing)
        return
    port = ports.free_port()
    env = await field.site.environment("availability", port)
    command = python("tests.bench.lanes.bare")
    process = await field.rig.start("bare", command, port=port, env=env)
    field.runners[LANE] = Runner(LANE, process, port)


async def _join(field: Field, name: str, command: list[str], *rest: object) -> None:
    port = ports.free_port()
    log = name.replace(", ", "-").replace(" ", "-")
    process = await field.rig.start(log, [*command, str(port), *map(str, rest)], port=port)
    field.runners[name] = Runner(name, process, port)


async def _let_peer_in(field: Field) -> None:
    """The batching peer touches only whom it knows, as the product does."""
    async with field.site.valkey() as client:
        await client.zadd("{peer}:online", {str(one.mitra_id): 1 for one in field.beaters})


async def _sample(field: Field, runner: Runner, mitras: Sequence[Mitra], count: int) -> Cost:
    """Measure one closed loop of beats against one program, on fresh connections."""
    rig = field.rig
    plan = {
        "kind": "http",
        "port": runner.port,
        "path": BEAT_PATH,
        "connections": _CONNECTIONS,
        "tokens": tokens_file(rig.folder, runner.name, [one.token for one in mitras]),
    }
    load = await Load.open(rig, "http", plan, runner.process)
    try:
        watched = {"program": runner.process.pid, "valkey": (await rig.valkey()).pid}
        return await load.go(count, watched)
    finally:
        await load.close()


def _of_product(costs: Costs) -> list[Line]:
    return [
        costs.line("G1", PRODUCT, EMPTY, bound=1.5),
        costs.line("G2", PRODUCT, ORIGINAL, bound=1.15),
        costs.line("G3", PRODUCT, NAIVE, bound=0.25),
        costs.line("G3", PRODUCT, ORIGINAL, bound=0.75, of="valkey"),
    ]


async def _of_lane(field: Field, costs: Costs) -> list[Line]:
    lines = [
        costs.line("G4", LANE, ORIGINAL, bound=0.35),
        costs.line("G4", LANE, STRONGEST, bound=0.5),
        costs.line("G4", LANE, FLOOR, bound=2.5),
        costs.line("G4", PRODUCT, STRONGEST, bound=None),
    ]
    if LANE in field.absent:
        return lines
    return [*await _effects(field, LANE, "G4"), *lines]


async def _effects(field: Field, name: str, goal: str) -> list[Line]:
    """Check that beats are stored and that a deactivated mitra's is refused and leaves no trace.

    Figures of a program that fails here are worth nothing; if it is the product, the run fails.
    """
    runner, site, prototype = field.runners[name], field.site, name == LANE
    since = await site.aged(field.beaters)
    await _sample(field, runner, field.beaters, 2 * len(field.beaters))
    stored = await site.unstored(field.beaters, since_ms=since)
    out = field.beaters.pop()
    before = await site.beat(runner.port, out.token)
    await site.deactivate(out)
    after = await site.beat(runner.port, out.token)
    left = await site.unstored([out], since_ms=0)
    wrong = int(before != 200) + int(after != 403) + int(left != 1)
    return [
        effect(goal, f"{name}: beats that were not stored", wrong=stored, prototype=prototype),
        effect(
            goal,
            f"{name}: a deactivated mitra refused, nothing stored",
            wrong=wrong,
            prototype=prototype,
        ),
    ]


async def _cold(field: Field) -> list[Line]:
    """A token's first beat beside its later ones, in units of one verification by PyJWT."""
    runner = field.runners[PRODUCT]
    extra, verifies = [], []
    for _ in range(field.rig.rounds):
        fresh = [field.site.invite(like=one) for one in field.beaters * 2][:_COLD]
        cold = await _sample(field, runner, fresh, _COLD)
        warm = await _sample(field, runner, fresh, _COLD)
        extra.append(cold.micros["program"] - warm.micros["program"])
        verifies.append(_verify_micros(field, [one.token for one in fresh[:_VERIFIES]]))
    note = f"{median(extra):.0f} / {median(verifies):.0f} us, {spread(extra, verifies)}"
    what = "a token's first beat minus a later one / one PyJWT verify (ES256)"
    return [Line("G5", what, ratio(extra, verifies), 1.2, note=note)]


def _verify_micros(field: Field, tokens: list[str]) -> float:
    """Return what PyJWT needs for one of these tokens, in µs of this thread."""
    key = field.site.mint.key.public_key()
    started = _thread_micros()
    for token in tokens:
        jwt.decode(token, key, algorithms=["ES256"], audience="app")
    return (_thread_micros() - started) / len(tokens)


def _thread_micros() -> float:
    return time.thread_time_ns() / 1000
