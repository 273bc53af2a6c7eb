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


def _script(name: str, *names: str) -> Script:
    text = (_FOLDER / f"{name}.lua").read_bytes()
    digest = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
    return Script(text=text, digest=digest, keys=tuple(key.encode() for key in names))


_FACTS = (keys.ONLINE, keys.AVAILABLE, keys.DEACTIVATED, keys.LOAD, keys.VERSIONS)

APPLY: Final = _script("apply", *_FACTS)
LOAD: Final = _script("load", keys.ONLINE, keys.AVAILABLE, keys.LOAD, keys.VERSIONS)
FORGET: Final = _script("forget", *_FACTS)
BEAT: Final = _script("beat", keys.SEED, keys.ONLINE, keys.AVAILABLE, keys.DEACTIVATED, keys.INTAKE)
STALE: Final = _script("stale", keys.SEED, keys.ONLINE, keys.VERSIONS, keys.INTAKE)
BEATS: Final = _script("beats", keys.SEED, keys.ONLINE)
LOADS: Final = _script("loads", keys.SEED, keys.ONLINE, keys.LOAD)
SCORES: Final = _script("scores", keys.SEED, keys.ONLINE)
SEED_BEGIN: Final = _script("seed_begin", keys.SEEDING, *_FACTS, keys.SEED, keys.INTAKE)
SEED_FINISH: Final = _script("seed_finish", keys.SEED, keys.SEEDING, *_FACTS)
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
