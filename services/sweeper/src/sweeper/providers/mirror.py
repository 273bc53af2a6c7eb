"""The mirror as the sweeps use it: a doubtful one is no mirror."""

from mirror import DriftBook, Mirror, MirrorUnavailable, Seeder
from sweeper.domain import Picture, Stale

# One script call must not hold Valkey for long; whoever is left over comes in the next pass.
STALE_AT_ONCE = 2000


class MirrorPresence:
    """Reads the stale range; refuses to show it while the mirror may not be believed."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    async def picture(self) -> Picture:
        """Who is stale, how many are online and fresh, in one look; raises MirrorUnavailable."""
        page = await self._mirror.stale(STALE_AT_ONCE)
        gone = page.gone
        if page.in_grace and not gone:
            raise MirrorUnavailable("in grace after a reseed or a silence of everybody")
        stale = tuple(
            Stale(
                mitra_id=one.mitra_id,
                status_version=one.status_version,
                seen_at_ms=one.seen_at_ms,
            )
            for one in gone
        )
        # A full page hides how many there are: count everybody who is not fresh.
        is_full = len(page.mitras) >= STALE_AT_ONCE
        candidates = page.online - page.fresh if is_full else len(stale)
        return Picture(stale=stale, candidates=candidates, online=page.online, fresh=page.fresh)


class MirrorRebuild:
    """Rebuilds the mirror from the truth, and keeps what that mended."""

    def __init__(self, seeder: Seeder, drift: DriftBook) -> None:
        self._seeder = seeder
        self._drift = drift

    async def reseed(self) -> int:
        """Rebuild it; returns how many facts were healed, none while another replica does it."""
        done = await self._seeder.reseed("sweep")
        if done is None:
            return 0
        await self._drift.note_reseed(done)
        return done.healed
