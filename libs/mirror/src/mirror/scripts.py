"""The scripts of the mirror: each decides in one atomic step, in one round trip."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mirror import keys

_FOLDER = Path(__file__).with_name("lua")


@dataclass(frozen=True, slots=True)
class Script:
    """A script, the keys it declares and the digest by which Valkey knows it."""

    text: bytes
    digest: bytes
    keys: tuple[bytes, ...]


def _script(name: str, *names: str, after: str = "") -> Script:
    """Read a script; `after` names one that it stands after, as its own first lines."""
    text = b"".join((_FOLDER / f"{one}.lua").read_bytes() for one in (after, name) if one)
    digest = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
    return Script(text=text, digest=digest, keys=tuple(key.encode() for key in names))


_SILENCE = (keys.INTAKE, keys.DOUBT)

APPLY: Final = _script("apply", *keys.FACTS, keys.SEED, *_SILENCE, after="silence")
LOAD: Final = _script("load", keys.ONLINE, keys.AVAILABLE, keys.LOAD, keys.VERSIONS)
FORGET: Final = _script("forget", *keys.FACTS)
BEAT: Final = _script(
    "beat",
    *(keys.SEED, keys.ONLINE, keys.AVAILABLE, keys.DEACTIVATED),
    *_SILENCE,
    after="silence",
)
STALE: Final = _script("stale", keys.SEED, keys.ONLINE, keys.VERSIONS, *_SILENCE, after="silence")
BEATS: Final = _script("beats", keys.SEED, keys.ONLINE)
LOADS: Final = _script("loads", keys.SEED, keys.ONLINE, keys.LOAD)
SCORES: Final = _script("scores", keys.SEED, keys.ONLINE)
SEED_BEGIN: Final = _script(
    "seed_begin", keys.SEEDING, *keys.FACTS, keys.SEED, *_SILENCE, after="silence"
)
SEED_FINISH: Final = _script("seed_finish", keys.SEED, keys.SEEDING, *keys.FACTS)
SNAPSHOT: Final = _script("snapshot", keys.SNAPSHOT)

ALL: Final = (
    APPLY,
    LOAD,
    FORGET,
    BEAT,
    STALE,
    BEATS,
    LOADS,
    SCORES,
    SEED_BEGIN,
    SEED_FINISH,
    SNAPSHOT,
)
