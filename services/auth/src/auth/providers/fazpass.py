"""Fazpass, the sender of one-time codes: POST {base}/v1/otp/send with our own code."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp
import orjson

from auth.domain.otp import Channel
from auth.ports import SendFailed, SendRefused, SendUncertain

_LONGEST_ANSWER: Final = 64 * 1024
_CONNECT_SECONDS: Final = 2.0


class FazpassSender:
    """Sends codes; what the provider answers never leaves this file.

    SendFailed: certainly not sent. SendUncertain: taken perhaps, but no answer came in time.
    """

    def __init__(
        self,
        *,
        url: str,
        merchant_key: str,
        gateway_keys: Mapping[Channel, str],
        timeout: float,
    ) -> None:
        self._url = url.rstrip("/") + "/v1/otp/send"
        self._headers = {"Authorization": f"Bearer {merchant_key}"}
        self._gateway_keys = gateway_keys
        self._timeout = aiohttp.ClientTimeout(
            total=timeout, sock_connect=min(_CONNECT_SECONDS, timeout)
        )
        self._session: aiohttp.ClientSession | None = None

    async def send(self, *, phone: str, code: str, channel: Channel) -> None:
        """Send once."""
        body = {
            "phone": phone.removeprefix("+"),
            "gateway_key": self._gateway_keys[channel],
            "otp": code,
        }
        try:
            async with self._open().post(
                self._url, json=body, headers=self._headers, allow_redirects=False
            ) as response:
                _check(response.status, await _read(response))
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise SendFailed(type(error).__name__) from error
        except (TimeoutError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            raise SendUncertain(type(error).__name__) from error
        except aiohttp.ClientError as error:
            raise SendFailed(type(error).__name__) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No kept connections: on one that the provider has just closed nobody could tell
            # whether a message was taken.
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(force_close=True, limit=50),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


class Breaker:
    """Stops asking a provider that keeps failing, for a while; has the sender's own shape."""

    def __init__(
        self,
        sender: FazpassSender,
        *,
        clock: Callable[[], float],
        failures: int = 5,
        seconds: float = 15.0,
    ) -> None:
        self._sender = sender
        self._clock = clock
        self._limit = failures
        self._seconds = seconds
        self._failures = 0
        self._open_until = float("-inf")

    def ready(self) -> bool:
        """Whether sending makes sense now."""
        return self._clock() >= self._open_until

    async def send(self, *, phone: str, code: str, channel: Channel) -> None:
        """Send once; SendFailed at once while the breaker is open."""
        if not self.ready():
            raise SendFailed("breaker open")
        try:
            await self._sender.send(phone=phone, code=code, channel=channel)
        except SendRefused:
            # One phone that the provider refuses must not silence everybody's.
            self._failures = 0
            raise
        except (SendFailed, SendUncertain):
            self._failures += 1
            if self._failures >= self._limit:
                # One more failure after the pause opens it again.
                self._failures = self._limit - 1
                self._open_until = self._clock() + self._seconds
            raise
        self._failures = 0


async def _read(response: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for chunk in response.content.iter_chunked(8192):
        raw += chunk
        if len(raw) > _LONGEST_ANSWER:
            raise SendFailed("answer too large")
    return bytes(raw)


def _check(status: int, raw: bytes) -> None:
    """Refuse whatever is not a plain success; this provider says no with 200 and status false."""
    if status != 200:
        raise SendFailed(f"status {status}")
    answer = _parse(raw)
    if answer.get("status") is not True:
        raise SendRefused(f"refused with code {str(answer.get('code', ''))[:20]}")


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise SendFailed("no JSON") from error
    if not isinstance(answer, dict):
        raise SendFailed("no JSON object")
    return answer
