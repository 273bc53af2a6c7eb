"""Keeping Valkey's list of revoked logins complete, and saying so only while it is.

The sentinel lives for seconds and names the Valkey process that was filled: an emptied, restored or
restarted Valkey, or a stopped auth, is soon recognised as not a mirror, and services ask Postgres.
"""

from auth.ports import KeysAway, RevokedKeys, RevokedStore
from common.log import get_logger

log = get_logger("revoked_keys")

_BATCH = 1000


class RevokedKeysHandlers:
    """Fills, completes and vouches for the keys."""

    def __init__(self, *, store: RevokedStore, keys: RevokedKeys, seconds: float) -> None:
        self._store = store
        self._keys = keys
        self._seconds = seconds
        self._away = False

    async def keep(self) -> None:
        """Make the keys complete and say so; without Valkey, wait for the next time."""
        try:
            await self._keep()
        except KeysAway as error:
            if not self._away:
                log.warning("revoked_keys_away", reason=str(error))
            self._away = True
        else:
            self._away = False

    async def _keep(self) -> None:
        if await self._keys.state() == "absent":
            logins = await self._store.revoked(seconds=self._seconds)
            for start in range(0, len(logins), _BATCH):
                await self._keys.put(logins[start : start + _BATCH])
            log.info("revoked_keys_seeded", logins=len(logins))
        while untold := await self._store.untold(seconds=self._seconds, limit=_BATCH):
            await self._keys.put(untold)
            await self._store.told(untold)
        await self._keys.vouch()
