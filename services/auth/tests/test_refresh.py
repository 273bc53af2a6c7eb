"""Renewing tokens, on a real Postgres with a clock to turn."""

import base64
from datetime import timedelta
from typing import Any

import jwt
import pytest
from services.auth.tests.world import DEVICE, World, origin, together

from auth import errors
from auth.domain.origin import Actor, device_key
from auth.domain.refresh import RefreshTokens
from auth.handlers.issuing import Tokens
from auth.store.logins import LoginRows


async def live(world: World) -> int:
    """Count living logins."""
    return int(await world.value("SELECT count(*) FROM logins WHERE state = 'active'"))


def generation(tokens: Tokens) -> int:
    """Read the generation of an access token."""
    claims = jwt.decode(tokens.access_token, options={"verify_signature": False})
    return int(claims["gen"])


async def use(world: World, tokens: Tokens) -> None:
    """Use the access token somewhere."""
    await world.handlers.tokens.mark_seen(tokens.login_id, generation(tokens))


@pytest.mark.req("AU-06")
async def test_parallel_refreshes_give_one_child(world: World) -> None:
    """T01: 20 refreshes at once all succeed with the same child; the login lives."""
    first = await world.sign_in()

    answers = await together(20, lambda _: world.refresh(first.refresh_token))

    assert {answer.refresh_token for answer in answers} == {answers[0].refresh_token}
    assert answers[0].refresh_token != first.refresh_token
    assert await world.value("SELECT generation FROM logins") == 1
    assert await live(world) == 1
    assert await world.audited("refreshed") == 1
    assert await world.audited("refresh_repeated") == 19


@pytest.mark.req("AU-06")
async def test_naive_rotation_would_make_many_children(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race test bites: rotating without comparing the generation makes several children."""
    rotate = LoginRows.rotate

    async def naive(self: Any, login_id: Any, generation: int, *, idle: Any, now: Any) -> Any:
        current = await self._tx.fetchval(
            "SELECT generation FROM logins WHERE login_id = $1", login_id
        )
        row = await rotate(self, login_id, current, idle=idle, now=now)
        if row is not None:
            return row
        current = await self._tx.fetchval(
            "SELECT generation FROM logins WHERE login_id = $1", login_id
        )
        return await rotate(self, login_id, current, idle=idle, now=now)

    monkeypatch.setattr(LoginRows, "rotate", naive)
    first = await world.sign_in()

    answers = await together(10, lambda _: world.refresh(first.refresh_token))

    children = {answer.refresh_token for answer in answers if isinstance(answer, Tokens)}
    assert len(children) > 1


@pytest.mark.req("AU-06")
async def test_lost_answer_is_given_again(world: World) -> None:
    """T02: the same token shown again after 5 s gets the same child."""
    first = await world.sign_in()
    child = await world.refresh(first.refresh_token)
    world.turned.forward(5)

    again = await world.refresh(first.refresh_token)

    assert again.refresh_token == child.refresh_token
    assert generation(again) == generation(child) == 1


@pytest.mark.req("AU-06")
async def test_unseen_child_is_given_again_for_a_day(world: World) -> None:
    """Ten minutes or 23 hours later the child is sent again, if nobody was seen using it."""
    first = await world.sign_in()
    child = await world.refresh(first.refresh_token)

    for seconds in (600, 82_000):
        world.turned.forward(seconds)
        assert (await world.refresh(first.refresh_token)).refresh_token == child.refresh_token
    world.turned.forward(4_000)
    with pytest.raises(errors.RefreshReused):
        await world.refresh(first.refresh_token)


@pytest.mark.req("AU-06")
async def test_seen_child_ends_the_grace(world: World) -> None:
    """T04: the child was used, the parent comes back at 31 s: the login is dead at once."""
    first = await world.sign_in()
    child = await world.refresh(first.refresh_token)
    await use(world, child)
    world.turned.forward(29)
    assert (await world.refresh(first.refresh_token)).refresh_token == child.refresh_token
    world.turned.forward(2)

    with pytest.raises(errors.RefreshReused):
        await world.refresh(first.refresh_token)

    assert world.announced.login_ids == [first.login_id]
    assert await world.audited("refresh_reused") == 1
    with pytest.raises(errors.LoginEnded):
        await world.refresh(child.refresh_token)
    assert [event["reason"] for event in await world.said("evt.auth.login_revoked.v1")] == [
        "refresh_reused"
    ]


@pytest.mark.req("AU-06")
async def test_rotated_and_revoked_are_different(world: World) -> None:
    """Ending a login opens no new grace: its newest and its rotated tokens are all refused."""
    first = await world.sign_in()
    child = await world.refresh(first.refresh_token)
    actor = Actor(first.person.user_id, "customer", first.login_id)
    await world.handlers.own_logins.log_out(actor, role="customer", scope="local", origin=origin())

    for token in (first.refresh_token, child.refresh_token):
        with pytest.raises(errors.LoginEnded):
            await world.refresh(token)


@pytest.mark.req("AU-06")
async def test_copied_token_is_noticed_by_the_second_exchange(world: World) -> None:
    """T05: victim and thief renew in turn, five minutes apart, and use what they get."""
    first = await world.sign_in()
    victim = thief = first.refresh_token
    noticed_after = 0
    for exchange in range(1, 6):
        try:
            mine = await world.refresh(victim)
            await use(world, mine)
            victim = mine.refresh_token
            world.turned.forward(300)
            theirs = await world.refresh(thief)
            await use(world, theirs)
            thief = theirs.refresh_token
            world.turned.forward(300)
        except errors.RefreshReused:
            noticed_after = exchange
            break

    assert noticed_after == 1
    assert await live(world) == 0


@pytest.mark.req("AU-06")
async def test_forged_tokens_change_nothing(world: World) -> None:
    """T07: a token with any flipped bit, or the next counter, is refused; the login lives."""
    first = await world.sign_in()
    text = first.refresh_token
    raw = base64.urlsafe_b64decode(text[5:])
    forged = [
        "tmr1_"
        + base64.urlsafe_b64encode(
            bytes(
                byte ^ (1 << bit % 8 if place == bit // 8 else 0) for place, byte in enumerate(raw)
            )
        ).decode()
        for bit in range(0, len(raw) * 8, 7)
    ]
    counter = int.from_bytes(raw[20:28], "big") + 1
    forged.append(
        "tmr1_"
        + base64.urlsafe_b64encode(raw[:20] + counter.to_bytes(8, "big") + raw[28:]).decode()
    )
    forged += ["", "tmr1_", text[:-1], text + "A", "tmr2_" + text[5:], text.replace("_", "=", 1)]

    for token in forged:
        with pytest.raises(errors.RefreshInvalid):
            await world.refresh(token)

    assert await world.value("SELECT generation FROM logins") == 0
    assert await live(world) == 1


@pytest.mark.req("AU-06")
async def test_counter_ahead_is_refused_without_change(world: World) -> None:
    """A genuine token of a generation that does not exist yet changes nothing."""
    first = await world.sign_in()
    ahead = RefreshTokens([b"s" * 64]).mint(
        first.login_id, 1, audience="app", device_key=device_key(DEVICE)
    )

    with pytest.raises(errors.RefreshInvalid):
        await world.refresh(ahead)
    assert await live(world) == 1


@pytest.mark.req("AU-06")
async def test_token_is_bound_to_device_and_audience(world: World) -> None:
    """T08: another device or another audience gets nothing and does no harm."""
    first = await world.sign_in()

    with pytest.raises(errors.RefreshInvalid):
        await world.refresh(first.refresh_token, device="stolen-into")
    with pytest.raises(errors.RefreshInvalid):
        await world.refresh(first.refresh_token, audience="control")

    assert isinstance(await world.refresh(first.refresh_token), Tokens)


@pytest.mark.req("AU-06")
async def test_dump_makes_no_token(world: World) -> None:
    """T80: everything in the database without the root key mints no refresh token."""
    first = await world.sign_in()
    row = (await world.rows("SELECT login_id, generation, device_key FROM logins"))[0]
    forged = RefreshTokens([b"guess" * 10]).mint(
        row["login_id"], row["generation"], audience="app", device_key=row["device_key"]
    )

    with pytest.raises(errors.RefreshInvalid):
        await world.refresh(forged)
    assert first.refresh_token not in str(await world.rows("SELECT * FROM logins"))


@pytest.mark.req("AU-06")
async def test_absolute_end(world: World) -> None:
    """T11: steady refreshes keep a customer's login for 90 days and not longer."""
    tokens = await world.sign_in()
    for _ in range(12):
        world.turned.forward(timedelta(days=7).total_seconds())
        tokens = await world.refresh(tokens.refresh_token)
        await use(world, tokens)
    world.turned.forward(timedelta(days=6.1).total_seconds())

    with pytest.raises(errors.RefreshExpired):
        await world.refresh(tokens.refresh_token)


@pytest.mark.req("AU-06")
async def test_idle_end(world: World) -> None:
    """A login that nobody used for 30 days has ended."""
    tokens = await world.sign_in()
    world.turned.forward(timedelta(days=30.1).total_seconds())

    with pytest.raises(errors.RefreshExpired):
        await world.refresh(tokens.refresh_token)


@pytest.mark.req("AU-06")
async def test_previous_root_is_still_read(world: World) -> None:
    """After a change of the root secret, tokens under the previous one renew to the new one."""
    old, new = RefreshTokens([b"s" * 64]), RefreshTokens([b"n" * 64, b"s" * 64])
    first = await world.sign_in()
    world.handlers.tokens._refresh_tokens = new
    world.handlers.tokens._issuing._refresh_tokens = new

    child = await world.refresh(first.refresh_token)

    with pytest.raises(errors.RefreshInvalid):
        old.read(child.refresh_token, audience="app", device_key=device_key(DEVICE))
    assert isinstance(await world.refresh(child.refresh_token), Tokens)


@pytest.mark.req("AU-05")
async def test_access_token_is_short_and_complete(world: World) -> None:
    """Ten minutes at most, a little less at random, with every claim that verifiers ask for."""
    tokens = await world.sign_in()
    claims = jwt.decode(tokens.access_token, options={"verify_signature": False})
    header = jwt.get_unverified_header(tokens.access_token)

    assert set(claims) == {"iss", "aud", "sub", "sid", "role", "gen", "iat", "exp", "jti"}
    assert 570 <= claims["exp"] - claims["iat"] <= 600
    assert (header["typ"], header["alg"]) == ("at+jwt", "ES256")
    assert claims["sid"] == str(tokens.login_id)


@pytest.mark.req("AU-07")
async def test_eleventh_login_evicts_the_oldest(world: World) -> None:
    """T14: a customer has ten logins; the eleventh ends the oldest, and that is told."""
    tokens = []
    for number in range(11):
        tokens.append(await world.sign_in(device=f"d{number}", source=number))
        world.turned.forward(3601 * 3)

    assert await live(world) == 10
    assert world.announced.login_ids == [tokens[0].login_id]
    with pytest.raises(errors.LoginEnded):
        await world.refresh(tokens[0].refresh_token, device="d0")


@pytest.mark.req("AU-07")
async def test_parallel_sign_ins_respect_the_cap(world: World) -> None:
    """Two challenges answered at once by the same person never leave more logins than the cap."""
    await world.mitra()
    asked = []
    for number in range(5):
        asked.append(await world.ask(role="mitra", device=f"d{number}", source=number))
        world.turned.forward(50 if number == 4 else 0)
        await world.value("UPDATE otp_phones SET sent_at = '{}' RETURNING 1")
    codes = [code for _, code, _ in world.sender.sent]

    await together(5, lambda n: world.verify(asked[n], codes[n], device=f"d{n}", source=n))

    assert await live(world) == 3


@pytest.mark.req("AU-07")
async def test_logout_scopes(world: World) -> None:
    """T12: local ends this login, others the other ones, all every one."""
    one = await world.sign_in(device="a")
    world.turned.forward(61)
    two = await world.sign_in(device="b")
    world.turned.forward(121)
    three = await world.sign_in(device="c")
    actor = Actor(one.person.user_id, "customer", one.login_id)
    out = world.handlers.own_logins.log_out

    await out(actor, role="customer", scope="others", origin=origin())
    assert set(world.announced.login_ids) == {two.login_id, three.login_id}
    await out(actor, role="customer", scope="local", origin=origin())
    assert await live(world) == 0
    world.turned.forward(301)
    await world.sign_in(device="a")
    await out(actor, role="customer", scope="all", origin=origin())
    assert await live(world) == 0


@pytest.mark.req("AU-07")
async def test_nobody_ends_the_login_of_another(world: World) -> None:
    """Ending somebody else's login answers as if it did not exist."""
    mine = await world.sign_in()
    other = await world.sign_in("+6281200000001", device="b", source=2)
    actor = Actor(mine.person.user_id, "customer", mine.login_id)

    with pytest.raises(errors.LoginNotFound):
        await world.handlers.own_logins.end_login(
            actor, role="customer", login_id=other.login_id, origin=origin()
        )
    assert await live(world) == 2
