"""I10: nobody is taken offline for a silence while her beats are being accepted."""

from temani.demo.oracle.history import Record
from temani.demo.oracle.truth import Truth

# Well below any auto-offline limit: who was heard this recently was not silent.
RECENTLY_SECONDS = 5.0


async def believed(truth: Truth, record: Record) -> list[str]:
    """Find mitras who were taken offline though a beat of theirs had just been accepted."""
    beats: dict[str, list[float]] = {}
    for beat in record.done("heartbeat"):
        beats.setdefault(beat.who, []).append(beat.ended or beat.began)
    found = []
    for row in await truth.rows("auto_offlined"):
        ended = row["ended_at"].timestamp()
        recent = [
            at for at in beats.get(str(row["mitra_id"]), ()) if 0 < ended - at < RECENTLY_SECONDS
        ]
        if recent:
            found.append(
                f"mitra {row['mitra_id']} was taken offline {ended - max(recent):.1f} s after a "
                "beat was accepted"
            )
    return found
