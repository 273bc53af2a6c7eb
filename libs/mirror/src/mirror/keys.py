"""The names of everything the mirror keeps in Valkey; nobody else names a key.

One hash tag, so that one command may touch several of them in a cluster.
"""

from typing import Final

SCHEMA: Final = 2
"""The layout below; a sentinel of another layout is no sentinel of ours."""

ONLINE: Final = "{mitras}:online"  # ZSET id -> last beat, ms on Valkey's clock; 0 none; BARRED
AVAILABLE: Final = "{mitras}:available"  # ZSET, same score: online, active, load < capacity
DEACTIVATED: Final = "{mitras}:deactivated"  # SET of ids
LOAD: Final = "{mitras}:load"  # HASH id -> load/capacity
VERSIONS: Final = "{mitras}:versions"  # HASH id:fact (o, a, l) -> pg_epoch.version
GUARD: Final = "guard"
"""A member (score +inf) or field that each key above holds from its seeding on.

Where it is missing the key was evicted, deleted or lost, and what stands there now is not all.
"""

BARRED: Final = 9007199254740991
"""The score in `online` of whoever is deactivated: no beat raises it, no time of a beat is it."""

SEED: Final = "{mitras}:seed"  # STRING, the sentinel: see sentinel.py
SEEDING: Final = "{mitras}:seeding"  # STRING, the seeding that is under way
INTAKE: Final = "{mitras}:intake"  # STRING, end of the last silence of everybody, ms
DOUBT: Final = "{mitras}:doubt"  # STRING, end of the first silence of those whose graces touch, ms
SNAPSHOT: Final = "{mitras}:snapshot"  # STRING, ms and JSON of the beacon as last told
NOTHING: Final = "{mitras}:nothing"  # never written: how we ask whether we might write

FACTS: Final = (ONLINE, AVAILABLE, DEACTIVATED, LOAD, VERSIONS)
ALL: Final = (*FACTS, SEED, SEEDING, INTAKE, DOUBT, SNAPSHOT)
