"""Operators: passwords, waiting after wrong ones, and being made."""

import asyncio
import threading
from typing import Any

import bcrypt
import pytest
from services.auth.tests.world import World, together

from auth import errors
from auth.domain.passwords import PasswordPolicy
from auth.handlers.issuing import Tokens
from auth.handlers.operators import OperatorMaking
from auth.providers.passwords import Argon2Hasher
from common.testing import eventually

EMAIL = "boss@temani.test"
PASSWORD = "correct horse battery staple"
WRONG = "wrong horse battery staple"


async def make(world: World, email: str = EMAIL, password: str = PASSWORD) -> None:
    """Make an operator as the command line does."""
    making = OperatorMaking(store=world.store, hasher=world.hasher, policy=PasswordPolicy())
    await making.create(email=email, password=password)


class Counting(Argon2Hasher):
    """Counts how many passwords were looked at."""

    looked = 0

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Count and check."""
        self.looked += 1
        return await super().verify(password_hash, password)


class Held(Argon2Hasher):
    """Looks at no password until it may go on; notes how many it looks at side by side."""

    def __init__(self, *, threads: int, queue: int) -> None:
        super().__init__(threads=threads, queue=queue)
        self.go = threading.Event()
        self.asked = self.most_at_once = 0
        self._at_once = 0
        self._counting = threading.Lock()

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Count and check."""
        self.asked += 1
        return await super().verify(password_hash, password)

    def _verify(self, password_hash: str | None, password: str) -> bool:
        with self._counting:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        assert self.go.wait(60)
        with self._counting:
            self._at_once -= 1
        return super()._verify(password_hash, password)


def count(world: World) -> Counting:
    """Put a counting hasher in place."""
    counting = Counting()
    world.handlers.operators._hasher = counting
    return counting


@pytest.mark.req("AU-09", "AU-16")
async def test_operator_signs_in(world: World) -> None:
    """An operator made from the command line signs in, however she writes her address."""
    await make(world)

    tokens = await world.login(" Boss@Temani.TEST ", PASSWORD)

    assert tokens.person.role == "operator"
    assert (tokens.access_expires_at - tokens.now).total_seconds() <= 300
    assert await world.audited("operator_created") == 1
    assert await world.audited("signed_in") == 1


@pytest.mark.req("AU-09")
@pytest.mark.parametrize(
    ("password", "accepted"),
    [
        ("Passw0rd!", False),
        ("passwordpassword", False),
        ("temani temani temani", False),
        ("aaaaaaaaaaaaaaaaaaaa", False),
        ("winterfrostriver", True),
        ("hujan turun di bulan juni", True),
        ("x" * 129, False),
        ("hujan-k9$Vq turun di bulan juni 8f2e0c77a1b94d5396ee41c0", True),
    ],
)
async def test_password_policy(world: World, password: str, accepted: bool) -> None:  # noqa: FBT001
    """T58: length and strength decide, never the kinds of characters."""
    if accepted:
        await make(world, password=password)
        assert isinstance(await world.login(EMAIL, password), Tokens)
        return
    with pytest.raises(errors.PasswordRefused):
        await make(world, password=password)


@pytest.mark.req("AU-09")
async def test_password_is_normalised(world: World) -> None:
    """The same password typed on another keyboard, composed otherwise, is the same."""
    await make(world, password="caf\u00e9 hujan turun besar")

    assert isinstance(await world.login(EMAIL, "cafe\u0301 hujan turun besar"), Tokens)


@pytest.mark.req("AU-09")
async def test_unknown_and_wrong_are_told_apart_by_nothing(world: World) -> None:
    """Unknown account, wrong password, no address, switched off: one answer, one hash."""
    await make(world)
    await make(world, "gone@temani.test")
    await world.value("UPDATE operators SET is_active = false WHERE email LIKE 'gone%' RETURNING 1")
    hasher = count(world)

    for source, (email, password) in enumerate(
        [
            (EMAIL, WRONG),
            ("nobody@temani.test", WRONG),
            ("no address", WRONG),
            ("gone@temani.test", PASSWORD),
        ]
    ):
        with pytest.raises(errors.CredentialsInvalid):
            await world.login(email, password, source=source)

    assert hasher.looked == 4
    assert errors.CredentialsInvalid.__doc__ == errors.SignInBlocked.__doc__
    assert await world.audited("sign_in_refused") == 4


@pytest.mark.req("AU-09")
async def test_fifty_wrong_passwords_at_once(world: World) -> None:
    """T56: at most five are looked at; then even the right one waits."""
    await make(world)
    hasher = count(world)

    answers = await together(50, lambda _: world.login(EMAIL, WRONG))

    assert hasher.looked == 5
    assert sum(isinstance(answer, errors.SignInBlocked) for answer in answers) == 45
    with pytest.raises(errors.SignInBlocked) as refused:
        await world.login(EMAIL, PASSWORD)
    assert 59 < refused.value.retry_after <= 60
    world.turned.forward(61)
    assert isinstance(await world.login(EMAIL, PASSWORD), Tokens)


@pytest.mark.req("AU-09")
async def test_naive_lockout_would_look_at_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race test bites: counting after the hash lets many more be looked at."""
    from auth.store.desk import DeskRows  # noqa: PLC0415

    take, answered = DeskRows.take_password_try, asyncio.Event()

    async def late(self: Any, *args: Any) -> int | None:
        blocked = await self.password_blocked_until(args[0], args[1])
        if blocked is not None and blocked > args[2]:
            return None

        async def count_later() -> None:
            await answered.wait()
            async with world.db.transaction() as tx:
                await take(type(self)(tx, None), *args)

        world._spawn(count_later(), "late")
        return 1

    monkeypatch.setattr(DeskRows, "take_password_try", late)
    await make(world)
    hasher = count(world)

    await together(15, lambda _: world.login(EMAIL, WRONG))
    answered.set()
    await world.background()

    assert hasher.looked == 15


@pytest.mark.req("AU-09")
async def test_waits_double_and_are_bounded(world: World) -> None:
    """1, 2, 4, 8, then 15 minutes; a right password starts anew."""
    await make(world)
    for _ in range(5):
        with pytest.raises(errors.CredentialsInvalid):
            await world.login(EMAIL, WRONG)
    waits = []
    for _ in range(6):
        with pytest.raises(errors.SignInBlocked) as refused:
            await world.login(EMAIL, WRONG)
        waits.append(round(refused.value.retry_after / 60))
        world.turned.forward(refused.value.retry_after + 1)
        with pytest.raises(errors.CredentialsInvalid):
            await world.login(EMAIL, WRONG)

    assert waits == [1, 2, 4, 8, 15, 15]
    world.turned.forward(901)
    await world.login(EMAIL, PASSWORD)
    with pytest.raises(errors.CredentialsInvalid):
        await world.login(EMAIL, WRONG)


@pytest.mark.req("AU-09")
async def test_lockout_is_per_address(world: World) -> None:
    """T55: whoever guesses from X makes X wait; the operator at Y still gets in."""
    await make(world)
    for _ in range(5):
        with pytest.raises(errors.CredentialsInvalid):
            await world.login(EMAIL, WRONG, source=1)
    with pytest.raises(errors.SignInBlocked):
        await world.login(EMAIL, PASSWORD, source=1)

    assert isinstance(await world.login(EMAIL, PASSWORD, source=2), Tokens)


@pytest.mark.req("AU-09")
async def test_unknown_accounts_wait_too(world: World) -> None:
    """An account that does not exist is blocked as one that does."""
    for _ in range(5):
        with pytest.raises(errors.CredentialsInvalid):
            await world.login("nobody@temani.test", WRONG)
    with pytest.raises(errors.SignInBlocked):
        await world.login("nobody@temani.test", WRONG)


@pytest.mark.req("AU-09")
@pytest.mark.parametrize("password", [PASSWORD, "a long pass phrase " * 6])
async def test_old_bcrypt_hash_is_replaced(dear_hashes: None, world: World, password: str) -> None:
    """An old bcrypt hash verifies, also of a long password, and is argon2id afterwards."""
    await make(world)
    old = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    await world.value("UPDATE operators SET password_hash = $1 RETURNING 1", old)

    await world.login(EMAIL, password)

    stored = await world.value("SELECT password_hash FROM operators")
    assert stored.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert isinstance(await world.login(EMAIL, password), Tokens)
    with pytest.raises(errors.CredentialsInvalid):
        await world.login(EMAIL, password + "x")


@pytest.mark.req("AU-09")
async def test_full_line_answers_busy(world: World) -> None:
    """T59: no more hashes than threads run, no more than the queue wait, the rest is told 503."""
    await make(world)
    held = Held(threads=2, queue=3)
    world.handlers.operators._hasher = held
    asking = asyncio.ensure_future(together(20, lambda n: world.login(EMAIL, PASSWORD, source=n)))
    await eventually(lambda: (held.asked, held.most_at_once) == (20, 2))
    held.go.set()
    answers = await asking

    busy = [answer for answer in answers if isinstance(answer, errors.PasswordsBusy)]
    assert len(busy) == 15
    assert sum(isinstance(answer, Tokens) for answer in answers) == 5
    assert held.most_at_once == 2
    await held.close()


@pytest.mark.req("AU-07")
async def test_operator_has_two_logins(world: World) -> None:
    """A third sign-in of an operator ends the oldest."""
    await make(world)
    tokens = [await world.login(EMAIL, PASSWORD) for _ in range(3)]

    assert world.announced.login_ids == [tokens[0].login_id]


@pytest.mark.req("AU-16")
@pytest.mark.parametrize("email", ["", "nobody", "a b@c.de", "@c.de", "a@b", "a@b\n.de"])
async def test_operator_needs_an_address(world: World, email: str) -> None:
    """What is no e-mail address makes no operator."""
    with pytest.raises(errors.EmailInvalid):
        await make(world, email=email)


@pytest.mark.req("AU-16")
async def test_operator_exists_once(world: World) -> None:
    """A second operator with the same address is refused."""
    await make(world)
    with pytest.raises(errors.OperatorExists):
        await make(world, EMAIL.upper())
