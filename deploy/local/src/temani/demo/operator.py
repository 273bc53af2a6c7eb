"""The operator: switches a mitra off, sees that it holds, and switches her on again."""

import asyncio
import random
import time
from typing import Any

import aiohttp

from temani.demo.mitra import Mitra
from temani.demo.phone import LoggedOut, Phone, Refused, Tokens, Unreachable
from temani.demo.world import World

# AU-08: refused everywhere within this many seconds.
EFFECT_SECONDS = 2.0
OFF_SECONDS = 3.5
FIRST_ACT_AFTER = (10.0, 16.0)
NEXT_ACT_AFTER = (25.0, 40.0)


class Operator:
    """One operator bot at the control center."""

    def __init__(
        self, world: World, *, email: str, password: str, address: str, mitras: list[Mitra]
    ) -> None:
        self._world = world
        self._email = email
        self._password = password
        self._mitras = mitras
        self.phone = Phone(world, address, "operator")

    async def sign_in(self) -> None:
        """Sign in with e-mail and password."""
        answer = await self.phone.call(
            "POST",
            "/api/control/auth/login",
            {
                "email": self._email,
                "password": self._password,
                "device_id": self.phone.device_id,
            },
            signed=False,
        )
        self.phone.keep(answer)

    async def hire(self, phone_number: str, name: str, capacity: int) -> str:
        """Create a mitra with a capacity; returns her id."""
        body = {"phone": phone_number, "display_name": name, "capacity": capacity}
        made = await self.phone.call("POST", "/api/control/mitras", body)
        mitra_id = str(made["mitra_id"])
        # The event that tells chat may still be on its way; the first offers shall not wait.
        path = f"/api/control/chat/mitras/{mitra_id}/capacity"
        await self.phone.call("PATCH", path, {"capacity": capacity})
        return mitra_id

    async def live(self) -> None:
        """Now and then deactivate a mitra, check the effect, and take her back."""
        pause = random.uniform(*FIRST_ACT_AFTER)
        while not self._world.winding_down.is_set():
            await self._rest(pause)
            if self._world.winding_down.is_set():
                return
            try:
                await self._switch_off_and_on()
            except Unreachable:
                self._world.numbers.count("operator_cut_by_outage")
            except LoggedOut:
                await self.sign_in()
            pause = random.uniform(*NEXT_ACT_AFTER)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._world.winding_down.wait()
        except TimeoutError:
            return

    async def _switch_off_and_on(self) -> None:
        here = [mitra for mitra in self._mitras if mitra.signed_in.is_set() and not mitra.greedy]
        if not here:
            return
        mitra = min(here, key=lambda one: (one.busy, one.capacity))
        mitra_id, token = mitra.user_id, mitra.phone.tokens
        if token is None:
            return
        mitra.welcome.clear()
        try:
            if not await self._set_active(mitra_id, active=False):
                return
            held = await self._is_shut_out(token)
        finally:
            await asyncio.sleep(OFF_SECONDS)
            back = await self._bring_back(mitra_id)
            mitra.welcome.set()
        if held and back:
            await self._until_back(mitra)

    async def _bring_back(self, mitra_id: str) -> bool:
        for _ in range(5):
            try:
                return await self._set_active(mitra_id, active=True)
            except Unreachable:
                await asyncio.sleep(1)
        return False

    async def _set_active(self, mitra_id: str, *, active: bool) -> bool:
        word = "reactivate" if active else "deactivate"
        entry = self._world.history.begin(self.phone.user_id, word, mitra=mitra_id)
        body: dict[str, Any] = {"is_active": active}
        if not active:
            body["reason"] = "demo"
        try:
            await self.phone.call("PATCH", f"/api/control/mitras/{mitra_id}", body)
        except Refused as refused:
            entry.fail(refused.code)
            return False
        except (Unreachable, LoggedOut) as lost:
            entry.info(type(lost).__name__)
            raise
        entry.ok()
        self._world.numbers.count(f"mitras_{word}d")
        return True

    async def _is_shut_out(self, tokens: Tokens) -> bool:
        """Try with the old token until it is refused; how long that took is a latency."""
        began = time.monotonic()
        while time.monotonic() - began < EFFECT_SECONDS:
            if await self._is_refused(tokens):
                self._world.numbers.took("deactivation_effect", time.monotonic() - began)
                return True
            await asyncio.sleep(0.1)
        self._world.numbers.surprise("a deactivated mitra was let in after two seconds")
        return False

    async def _is_refused(self, tokens: Tokens) -> bool:
        headers = {"Authorization": f"Bearer {tokens.access}"}
        path = "/api/mitra/status/heartbeat"
        try:
            async with self.phone.http.post(path, headers=headers) as answer:
                return answer.status in {401, 403}
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def _until_back(self, mitra: Mitra) -> None:
        try:
            async with asyncio.timeout(20):
                await mitra.signed_in.wait()
        except TimeoutError:
            self._world.numbers.surprise("a reactivated mitra could not sign in again")
            return
        self._world.numbers.walked("deactivated_and_back")
