"""Mitras who are online and beat, so that there is something to look at."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Self

import aiohttp
from tests.e2e.person import Person, Refused, Where
from tests.e2e.stack import Stack

_BEAT_SECONDS = 1.0
# An app that is refused, or not heard on a busy machine, beats again a moment later.
_UNHEARD = (Refused, aiohttp.ClientError, TimeoutError)


@dataclass
class Mitras:
    """Those made for one test; they go offline when it ends."""

    stack: Stack
    operator: Person
    doors: contextlib.AsyncExitStack
    online: list[Person] = field(default_factory=list)
    silent: list[Person] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, stack: Stack, operator: Person) -> AsyncIterator[Self]:
        """Hand them out while they beat."""
        async with contextlib.AsyncExitStack() as doors:
            mitras = cls(stack, operator, doors)
            beating = asyncio.ensure_future(mitras._beat())
            try:
                yield mitras
            finally:
                beating.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await beating
                for person in mitras.online:
                    with contextlib.suppress(*_UNHEARD):
                        await person.call("POST", "/api/mitra/status/offline")

    async def arrive(self, name: str, *, capacity: int = 2) -> Person:
        """Make a mitra, sign her in and let her go online."""
        phone = self.stack.new_phone()
        body = {"phone": phone, "display_name": name, "capacity": capacity}
        await self.operator.call("POST", "/api/control/mitras", body)
        where = Where(self.stack.gateway, self.stack.devproviders)
        person = await self.doors.enter_async_context(Person.at(where))
        await person.sign_in(phone, "mitra")
        await person.call("POST", "/api/mitra/status/online")
        self.online.append(person)
        return person

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            for person in (one for one in tuple(self.online) if one not in self.silent):
                with contextlib.suppress(*_UNHEARD):
                    await person.call("POST", "/api/mitra/status/heartbeat")
