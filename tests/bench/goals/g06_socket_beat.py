"""G6: a heartbeat over an open socket, on the product's own chat service."""

from dataclasses import dataclass
from functools import partial

from tests.bench.compare import Costs
from tests.bench.driving import Cost, Load, LoadFailed, tokens_file
from tests.bench.extras import Missing, need, node_peers
from tests.bench.goals.g01_http_beat import key_file
from tests.bench.lines import Line, effect
from tests.bench.measure import paired
from tests.bench.rig import Rig, python
from tests.bench.site import BEAT_PATH, CHAT_PATH, Mitra, Site

from temani import ports
from temani.process import Process

TITLE = "a heartbeat over a socket"

# Hundreds of sockets: the product ends one that says more than 100 things in 10 s.
_SOCKETS = 1_000
_BEATS = 5_000
_CONNECTIONS = 64
BEAT = '{"type":"beat","data":{}}'
ONLINE, OFFLINE = '"is_online":true', '"is_online":false'
PRODUCT, OWN_HTTP, ECHO = "product", "product over HTTP", "aiohttp, echo"
ORIGINAL, NODE_ECHO = "Fastify-ws, original", "Fastify-ws, echo"
LANE, LANE_ECHO = "picows", "picows, echo"


@dataclass(frozen=True, slots=True)
class Room:
    """A program that holds sockets, and the load that opened them."""

    name: str
    process: Process
    port: int
    load: Load


class Hall:
    """Everybody who takes part, and why others do not."""

    def __init__(self, rig: Rig, site: Site) -> None:
        self.rig = rig
        self.site = site
        self.rooms: list[Room] = []
        self.absent: dict[str, str] = {}
        self.beaters = site.mitras[_SOCKETS : 2 * _SOCKETS]

    async def open(
        self, name: str, process: Process, port: int, path: str = "/ws", *, kind: str = "socket"
    ) -> None:
        """Open the connections to a program; they stay for all rounds."""
        is_socket = kind == "socket"
        load = await Load.open(
            self.rig,
            name,
            {
                "kind": kind,
                "port": port,
                "path": path,
                "connections": _SOCKETS if is_socket else _CONNECTIONS,
                "tokens": tokens_file(self.rig.folder, name, [m.token for m in self.beaters]),
                "beat": BEAT,
                "ack": ONLINE,
            },
            process,
        )
        self.rooms.append(Room(name, process, port, load))

    async def join(self, name: str, command: list[str], *rest: object, wired: bool = False) -> None:
        """Start a program and open the connections to it."""
        port = ports.free_port()
        env = await self.site.environment("availability", port) if wired else {}
        words = [*command, *([] if wired else [str(port)]), *map(str, rest)]
        log = name.replace(", ", "-").replace(" ", "-")
        process = await self.rig.start(log, words, port=port, env=env)
        await self.open(name, process, port)

    async def sample(self, room: Room) -> Cost:
        """Measure one round of one program."""
        valkey = await self.rig.valkey()
        return await room.load.go(_BEATS, {"program": room.process.pid, "valkey": valkey.pid})


async def measure(rig: Rig) -> list[Line]:
    """Measure all side by side, then look what the product stored."""
    hall = Hall(rig, await Site.of(rig))
    chat, port = await hall.site.service("chat")
    await hall.open(PRODUCT, chat, port, CHAT_PATH)
    availability, http = await hall.site.service("availability")
    await hall.open(OWN_HTTP, availability, http, BEAT_PATH, kind="http")
    await hall.join(ECHO, python("tests.bench.peers.aiohttp_floor"))
    await _invite_node(hall)
    await _invite_picows(hall)
    samples = {room.name: partial(hall.sample, room) for room in hall.rooms}
    found = await paired(samples, rounds=rig.rounds, warm_up=True)
    costs = Costs(found, hall.absent, prototypes={LANE, LANE_ECHO})
    lines = [
        *await _effects(hall, hall.rooms[0]),
        costs.line("G6", PRODUCT, ORIGINAL, bound=0.7),
        costs.line("G6", PRODUCT, OWN_HTTP, bound=0.6),
        costs.line("G6", PRODUCT, ECHO, bound=None),
        costs.line("G6", LANE, ORIGINAL, bound=0.35),
        costs.line("G6", LANE, NODE_ECHO, bound=0.8),
        costs.line("G6", LANE_ECHO, NODE_ECHO, bound=None),
    ]
    for room in hall.rooms:
        await room.load.close()
    return lines


async def _invite_node(hall: Hall) -> None:
    try:
        node, folder = await node_peers(hall.rig)
    except Missing as missing:
        hall.absent |= dict.fromkeys((ORIGINAL, NODE_ECHO), str(missing))
        return
    valkey, key = await hall.rig.valkey(), await key_file(hall.rig, hall.site)
    script = [node, str(folder / "sockets.mjs")]
    for name, variant in ((ORIGINAL, "original"), (NODE_ECHO, "echo")):
        await hall.join(name, [*script, variant], valkey.port, key)


async def _invite_picows(hall: Hall) -> None:
    try:
        need("picows")
    except Missing as missing:
        hall.absent |= dict.fromkeys((LANE, LANE_ECHO), str(missing))
        return
    await hall.join(LANE, python("tests.bench.lanes.picows_beats"), wired=True)
    await hall.join(LANE_ECHO, python("tests.bench.lanes.picows_beats", "echo"), wired=True)


async def _effects(hall: Hall, room: Room) -> list[Line]:
    """Check that the product's beats are stored, and that a deactivated mitra's leaves no trace."""
    site = hall.site
    since = await site.aged(hall.beaters)
    await room.load.go(_SOCKETS, {})
    stored = await site.unstored(hall.beaters, since_ms=since)
    out = hall.beaters[-1]
    wrong = int(not await _hears(hall, room, out, ack=ONLINE))
    await site.deactivate(out)
    wrong += int(not await _hears(hall, room, out, ack=OFFLINE))
    wrong += int(await site.unstored([out], since_ms=0) != 1)
    return [
        effect("G6", "product: beats that were not stored", wrong=stored),
        effect("G6", "product: a deactivated mitra told, nothing stored", wrong=wrong),
    ]


async def _hears(hall: Hall, room: Room, mitra: Mitra, *, ack: str) -> bool:
    """Tell whether one beat on a fresh socket is acknowledged with this word."""
    plan = {
        "kind": "socket",
        "port": room.port,
        "path": CHAT_PATH,
        "connections": 1,
        "tokens": tokens_file(hall.rig.folder, "one", [mitra.token]),
        "beat": BEAT,
        "ack": ack,
        "patience": 5,
    }
    load = await Load.open(hall.rig, "one", plan, room.process)
    try:
        await load.go(1, {})
    except LoadFailed:
        return False
    finally:
        await load.close()
    return True
