"""Telling who was revoked: push, Valkey keys, our own process."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Literal, cast
from uuid import UUID

import valkey.asyncio as valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import ValkeyError

from auth.events import LoginsRevokedPush
from auth.ports import KeysAway, RevokedStore
from common import baseline
from common.bus import Bus
from common.ids import new_id
from common.log import get_logger
from common.revocation import REMEMBER_SECONDS, SUBJECT, Revocations
from common.revoked_keys import SENTINEL, key_of

log = get_logger("revocation")

# Not on anybody's way: a pass that fails is taken again.
ANSWER_SECONDS: Final = 1.0
# No token lives longer; a little more, because clocks differ.
KEY_SECONDS: Final = int(REMEMBER_SECONDS) + 60
# How long the keys count as complete without being vouched for anew.
VOUCH_SECONDS: Final = 20
# A pass that takes longer than this vouches for nothing.
PASS_SECONDS: Final = 60
# The mark of this pass is gone when Valkey was emptied since the pass looked: then the keys that it
# found or wrote are gone too, and a sentinel would vouch for nothing. Both in one step.
VOUCH: Final = """
if server.call('DEL', KEYS[1]) == 0 then return 0 end
server.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
return 1
"""


class ValkeyRevokedKeys:
    """`{revoked}:<login_id>` and the sentinel, on one Valkey."""

    def __init__(self, url: str) -> None:
        # No health check: on a frozen server it would make each connect last 16 s (valkey-py 6.2).
        self._pool = valkey.BlockingConnectionPool.from_url(
            url,
            max_connections=4,
            timeout=baseline.VALKEY_POOL_TIMEOUT,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), baseline.VALKEY_READ_RETRIES),
            decode_responses=True,
        )
        self._client = valkey.Valkey(connection_pool=self._pool)
        self._process = ""
        self._pass = ""

    async def state(self) -> Literal["kept", "absent"]:
        """Begin a pass: whether the keys are complete as of this Valkey process."""
        self._pass = f"{SENTINEL}:pass:{new_id()}"
        try:
            info = await self._client.info("server")
            await self._client.set(self._pass, "1", ex=PASS_SECONDS)
            seed = await self._client.get(SENTINEL)
        except (ValkeyError, OSError, TimeoutError) as error:
            raise KeysAway(type(error).__name__) from error
        self._process = str(info["run_id"])
        return "kept" if seed == self._process else "absent"

    async def put(self, login_ids: Sequence[UUID]) -> None:
        """Write keys; they go when no token of these logins can be valid any more."""
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for login_id in login_ids:
                    pipe.set(key_of(login_id), "1", ex=KEY_SECONDS)
                await pipe.execute()
        except (ValkeyError, OSError, TimeoutError) as error:
            raise KeysAway(type(error).__name__) from error

    async def vouch(self) -> None:
        """Say, for a while, that the keys are complete; KeysAway if they were lost meanwhile."""
        try:
            said = self._client.eval(
                VOUCH, 2, self._pass, SENTINEL, self._process, str(VOUCH_SECONDS)
            )
            vouched = await cast("Awaitable[int]", said)  # the client's stubs serve both kinds
        except (ValkeyError, OSError, TimeoutError) as error:
            raise KeysAway(type(error).__name__) from error
        if not vouched:
            raise KeysAway("emptied during the pass")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        await self._pool.disconnect()


class PushAnnouncer:
    """Tells this process, the others, and Valkey; what fails here, the keeper makes good."""

    def __init__(
        self,
        *,
        bus: Bus,
        revocations: Revocations,
        keys: ValkeyRevokedKeys | None,
        store: RevokedStore,
        spawn: Callable[[Coroutine[Any, Any, object], str], None],
    ) -> None:
        self._bus = bus
        self._revocations = revocations
        self._keys = keys
        self._store = store
        self._spawn = spawn

    def revoked(self, login_ids: Sequence[UUID]) -> None:
        """Close sockets and refuse tokens of these logins everywhere; never waits or raises."""
        self._revocations.revoke(login_ids)
        body = LoginsRevokedPush(login_ids=list(login_ids)).model_dump_json().encode()
        self._bus.tell(SUBJECT, body)
        if self._keys is not None:
            self._spawn(self._write(self._keys, list(login_ids)), "revoked-keys")

    async def _write(self, keys: ValkeyRevokedKeys, login_ids: list[UUID]) -> None:
        try:
            await keys.put(login_ids)
        except KeysAway as error:
            log.warning("revoked_keys_unwritten", logins=len(login_ids), reason=str(error))
            return
        await self._store.told(login_ids)
