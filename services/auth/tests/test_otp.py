"""One-time codes, on a real Postgres."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from services.auth.tests.world import PHONE, World, operator, origin, together

from auth import errors
from auth.handlers.issuing import Tokens
from auth.ports import SendUncertain


@pytest.mark.req("AU-01")
async def test_code_opens_a_login(world: World) -> None:
    """The right code opens one login for a customer who is made at that moment."""
    tokens = await world.sign_in()

    assert tokens.person.role == "customer"
    assert await world.value("SELECT count(*) FROM customers WHERE phone = $1", PHONE) == 1
    assert await world.value("SELECT count(*) FROM logins WHERE state = 'active'") == 1


@pytest.mark.req("AU-03")
async def test_one_number_is_one_account(world: World) -> None:
    """However a number is typed, it is the same account."""
    first = await world.sign_in("0812 3456 7890")
    world.turned.forward(61)
    second = await world.sign_in("+62 812-3456-7890", device="other")

    assert first.person.user_id == second.person.user_id


@pytest.mark.req("AU-01")
async def test_parallel_right_codes_open_one_login(world: World) -> None:
    """T26: the right code sent 20 times at once opens exactly one login."""
    asked = await world.ask()

    answers = await together(20, lambda _: world.verify(asked, world.last_code()))

    assert sum(isinstance(answer, Tokens) for answer in answers) == 1
    assert await world.value("SELECT count(*) FROM logins") == 1
    refused = [answer for answer in answers if not isinstance(answer, Tokens)]
    assert {type(answer) for answer in refused} == {errors.ChallengeExpired}


@pytest.mark.req("AU-01")
async def test_naive_consume_would_open_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The race test bites: reading before consuming opens more than one login."""
    from auth.store.otp import OtpRows  # noqa: PLC0415

    async def read_only(
        self: Any, challenge_id: Any, *, phone: str, device_key: bytes, now: Any
    ) -> Any:
        found = await self.find_challenge(challenge_id, device_key)
        return found if found and found.consumed_at is None and found.phone == phone else None

    async def always(self: Any, challenge_id: Any, now: Any) -> bool:
        return True

    async def uncounted(self: Any, *_: Any) -> str:
        return "taken"

    monkeypatch.setattr(OtpRows, "take_try", read_only)
    monkeypatch.setattr(OtpRows, "consume", always)
    monkeypatch.setattr(OtpRows, "take_wrong", uncounted)
    asked = await world.ask()

    answers = await together(10, lambda _: world.verify(asked, world.last_code()))

    assert sum(isinstance(answer, Tokens) for answer in answers) > 1


@pytest.mark.req("AU-01", "AU-02")
async def test_resend_refills_nothing(world: World) -> None:
    """T28: four wrong codes, a resend, one more wrong: the challenge is dead."""
    asked = await world.ask()
    for _ in range(4):
        with pytest.raises(errors.CodeInvalid):
            await world.verify(asked, world.wrong_code())
    world.turned.forward(61)
    again = await world.resend(asked)
    assert again.challenge.challenge_id == asked.challenge.challenge_id

    with pytest.raises(errors.CodeInvalid):
        await world.verify(asked, world.wrong_code())
    with pytest.raises(errors.ChallengeExpired):
        await world.verify(asked, world.last_code())


@pytest.mark.req("AU-01")
async def test_parallel_guesses_get_five_tries(world: World) -> None:
    """Of 20 wrong codes at once, five are looked at."""
    asked = await world.ask()

    await together(20, lambda _: world.verify(asked, world.wrong_code()))

    assert await world.audited("otp_wrong") == 5
    assert await world.value("SELECT cardinality(wrong_at) FROM otp_phones") == 5


@pytest.mark.req("AU-01")
async def test_code_is_bound_to_phone_and_device(world: World) -> None:
    """T29: a challenge works only with the phone and the device it was made for."""
    asked = await world.ask()
    code = world.last_code()

    with pytest.raises(errors.CodeInvalid):
        await world.verify(asked, code, phone="+6281299999999")
    with pytest.raises(errors.CodeInvalid):
        await world.verify(asked, code, device="another")
    assert isinstance(await world.verify(asked, code), Tokens)


@pytest.mark.req("AU-02")
async def test_resend_sends_the_same_code(world: World) -> None:
    """T31: after two resends the first message's code still works, and then none does."""
    asked = await world.ask()
    world.turned.forward(61)
    await world.resend(asked)
    world.turned.forward(121)
    again = await world.resend(asked)
    codes = {code for _, code, _ in world.sender.sent}

    assert len(world.sender.sent) == 3
    assert len(codes) == 1
    assert again.challenge.expires_at == asked.challenge.expires_at
    await world.verify(asked, codes.pop())
    with pytest.raises(errors.ChallengeExpired):
        await world.verify(asked, world.last_code())


@pytest.mark.req("AU-01")
@pytest.mark.parametrize(("seconds", "works"), [(299, True), (301, False)])
async def test_code_lives_five_minutes(world: World, seconds: int, works: bool) -> None:  # noqa: FBT001
    """T32: the code works a second before five minutes and not a second after."""
    asked = await world.ask()
    world.turned.forward(seconds)

    if works:
        assert isinstance(await world.verify(asked, world.last_code()), Tokens)
    else:
        with pytest.raises(errors.ChallengeExpired):
            await world.verify(asked, world.last_code())


@pytest.mark.req("AU-01")
async def test_wrong_expired_and_unknown_read_the_same(world: World) -> None:
    """T32: nobody learns from the words which of the three it was."""
    assert errors.CodeInvalid.__doc__ == errors.ChallengeExpired.__doc__
    asked = await world.ask()
    unknown = replace(asked, challenge=replace(asked.challenge, challenge_id=uuid4()))

    with pytest.raises(errors.CodeInvalid):
        await world.verify(unknown, "000000")


@pytest.mark.req("AU-02")
async def test_resend_after_expiry_makes_a_new_challenge(world: World) -> None:
    """A challenge that has ended is replaced, with another code and a new end."""
    asked = await world.ask()
    world.turned.forward(305)

    again = await world.resend(asked)

    assert again.challenge.challenge_id != asked.challenge.challenge_id
    assert again.challenge.expires_at > asked.challenge.expires_at
    assert isinstance(await world.verify(again, world.last_code()), Tokens)


@pytest.mark.req("AU-02")
async def test_ladder_and_caps_of_a_phone(world: World) -> None:
    """T36: 60, 120, 300, 900 s between sends, five an hour, ten a day; from any address."""
    waits = []
    asked = await world.ask(source=0)
    waits.append(round(asked.resend_after))
    for turn in range(1, 5):
        world.turned.forward(waits[-1] - 1)
        with pytest.raises(errors.ResendTooEarly):
            await world.ask(source=turn, device=f"d{turn}")
        world.turned.forward(1.5)
        asked = await world.ask(source=turn, device=f"d{turn}")
        waits.append(round(asked.resend_after))
    sent = len(world.sender.sent)
    world.turned.forward(901)
    with pytest.raises(errors.TooManySends) as refused:
        await world.ask(source=9, device="d9")

    assert waits[:4] == [60, 120, 300, 900]
    assert sent == 5
    assert len(world.sender.sent) == 5
    assert refused.value.retry_after > 600


@pytest.mark.req("AU-02")
async def test_ten_sends_a_day(world: World) -> None:
    """The eleventh send of a day waits for the first one to be a day old."""
    for _ in range(10):
        await world.ask()
        world.turned.forward(3601)

    with pytest.raises(errors.TooManySends) as refused:
        await world.ask()
    world.turned.forward(refused.value.retry_after + 1)

    await world.ask()
    assert len(world.sender.sent) == 11


@pytest.mark.req("AU-02")
async def test_parallel_asks_send_once(world: World) -> None:
    """Of 20 wishes for one phone at once, one is sent."""
    answers = await together(20, lambda n: world.ask(source=n, device=f"d{n}"))

    assert len(world.sender.sent) == 1
    assert sum(isinstance(answer, errors.ResendTooEarly) for answer in answers) == 19


@pytest.mark.req("AU-02")
async def test_one_address_reaches_five_phones_an_hour(world: World) -> None:
    """T37: the sixth phone of an hour from one address is refused, and counts for nobody."""
    for number in range(5):
        await world.ask(f"+62812000000{number:02d}")
    with pytest.raises(errors.TooManySends) as refused:
        await world.ask("+6281200000099")

    assert 3500 < refused.value.retry_after <= 3600
    assert await world.value("SELECT count(*) FROM otp_phones WHERE phone = '+6281200000099'") == 0
    world.turned.forward(3601)
    await world.ask("+6281200000099")


@pytest.mark.req("AU-02")
async def test_service_wide_limit(world: World) -> None:
    """The whole service sends so many messages a minute and no more."""
    limits = await world.handlers.limits.read()
    tight = replace(limits, otp=replace(limits.otp, sends_per_minute=3))
    changed = await world.handlers.limits.change(tight, actor=operator(), origin=origin())
    assert changed.updated_at is not None
    # A second of the next minute, so that the minute does not turn meanwhile.
    world.turned.forward(61 - changed.updated_at.second)

    answers = await together(
        10, lambda n: world.ask(f"+62812000001{n:02d}", source=n, device=f"d{n}")
    )

    refused = [answer for answer in answers if isinstance(answer, errors.TooManySends)]
    assert len(world.sender.sent) == 3
    assert len(refused) == 7
    assert {error.retry_after for error in refused} == {59}
    world.turned.forward(59)
    await world.ask("+6281200000110", source=10, device="d10")


@pytest.mark.req("AU-02")
async def test_wrong_codes_of_a_phone_are_capped_by_day(world: World) -> None:
    """Fifteen wrong codes a day for a phone, over any number of challenges and addresses."""
    for turn in range(3):
        asked = await world.ask(source=turn)
        for _ in range(5):
            with pytest.raises(errors.CodeInvalid):
                await world.verify(asked, world.wrong_code(), source=turn)
        world.turned.forward(1000)
    asked = await world.ask(source=5)

    with pytest.raises(errors.TooMany) as refused:
        await world.verify(asked, world.last_code(), source=5)

    assert refused.value.retry_after > 80_000
    world.turned.forward(refused.value.retry_after + 1)
    asked = await world.ask(source=5)
    assert isinstance(await world.verify(asked, world.last_code(), source=5), Tokens)


@pytest.mark.req("AU-02")
async def test_right_codes_are_not_counted_as_wrong(world: World) -> None:
    """Signing in leaves no trace in the counts of wrong codes."""
    await world.sign_in()

    assert await world.value("SELECT cardinality(wrong_at) FROM otp_phones") == 0
    assert await world.value("SELECT cardinality(wrong_at) FROM otp_addresses") == 0


@pytest.mark.req("AU-03")
@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("+1 900 555 1234", errors.PhoneNotAllowed),
        ("+979 1234 56789", errors.PhoneNotAllowed),
        ("+882 16 1234 5678", errors.PhoneNotAllowed),
        ("021 5551234", errors.PhoneNotAllowed),
        ("0812 3456 7890 ext 5", errors.PhoneNotAllowed),
        ("+6281234567890;ext=5", errors.PhoneNotAllowed),
        ("+65 8123 4567", errors.PhoneNotAllowed),
        ("0800-FLOWERS1", errors.PhoneInvalid),
        ("+62 8000 0000 0001", errors.PhoneInvalid),
        ("\u0660\u0668\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", errors.PhoneInvalid),
        ("12", errors.PhoneInvalid),
        ("", errors.PhoneInvalid),
        ("+", errors.PhoneInvalid),
    ],
)
async def test_only_mobile_numbers_of_served_countries(
    world: World, typed: str, error: type[Exception]
) -> None:
    """T39: premium, satellite, landline, foreign and broken numbers reach no provider."""
    with pytest.raises(error):
        await world.ask(typed)

    assert world.sender.tries == []
    assert await world.value("SELECT count(*) FROM otp_challenges") == 0


@pytest.mark.req("AU-01")
async def test_unknown_mitra_gets_the_same_answer_and_no_message(world: World) -> None:
    """Nobody learns from asking whether a mitra has this phone; no code would work."""
    known = await world.mitra("+6281200000001")
    asked_known = await world.ask("+6281200000001", role="mitra", device="a", source=1)
    sent = len(world.sender.sent)
    asked = await world.ask("+6281200000002", role="mitra", device="a", source=2)

    assert sent == 1
    assert len(world.sender.sent) == 1
    assert round(asked.resend_after) == round(asked_known.resend_after)
    from auth.domain.otp import Codes  # noqa: PLC0415

    code = Codes(b"s" * 64).code(asked.challenge)
    with pytest.raises(errors.CodeInvalid):
        await world.verify(asked, code, phone="+6281200000002", device="a", source=2)
    tokens = await world.verify(
        asked_known, world.last_code(), phone="+6281200000001", device="a", source=1
    )
    assert tokens.person.user_id == known


@pytest.mark.req("AU-01")
async def test_failed_send_tells_nothing_about_mitras(world: World) -> None:
    """When the provider fails, a mitra's phone and any other are treated alike, also afterwards."""
    await world.mitra("+6281200000001")
    world.sender.fail("whatsapp", "sms")
    waits = []
    for source, phone in enumerate(("+6281200000001", "+6281200000002")):
        asked = await world.ask(phone, role="mitra", device="a", source=source)
        with pytest.raises(errors.ResendTooEarly) as refused:
            await world.resend(asked, device="a", source=source)
        waits.append(round(refused.value.retry_after))

    assert waits == [60, 60]
    assert world.sender.tries == ["whatsapp", "sms"]


@pytest.mark.req("AU-01")
async def test_falls_back_once_then_gives_everything_back(world: World) -> None:
    """T42: WhatsApp fails, SMS is tried; both fail: 503, and nothing was used up."""
    world.sender.fail("whatsapp")
    asked = await world.ask()
    assert world.sender.tries == ["whatsapp", "sms"]
    assert asked.challenge.channel == "sms"
    assert isinstance(await world.verify(asked, world.last_code()), Tokens)

    world.sender.fail("whatsapp", "sms")
    with pytest.raises(errors.OtpUnavailable):
        await world.ask("+6281200000001", device="b")
    assert (
        await world.value(
            "SELECT cardinality(sent_at) FROM otp_phones WHERE phone = $1", "+6281200000001"
        )
        == 0
    )
    assert (
        await world.value("SELECT count(*) FROM otp_challenges WHERE phone = $1", "+6281200000001")
        == 0
    )
    world.sender.fail()
    await world.ask("+6281200000001", device="b")


@pytest.mark.req("AU-01")
async def test_chosen_channel_does_not_fall_back(world: World) -> None:
    """Whoever chose a channel gets that one or a refusal."""
    world.sender.fail("missed_call")

    with pytest.raises(errors.OtpUnavailable):
        await world.ask(channel="missed_call")

    assert world.sender.tries == ["missed_call"]


@pytest.mark.req("AU-01")
async def test_uncertain_send_is_not_sent_twice(world: World) -> None:
    """T41: a provider that took the message and never answered is not asked again."""
    world.sender.fail("whatsapp", kind=SendUncertain)

    asked = await world.ask(key="wish-1")
    again = await world.ask(key="wish-1")

    assert world.sender.tries == ["whatsapp"]
    assert again.challenge.challenge_id == asked.challenge.challenge_id
    assert isinstance(await world.verify(asked, world.last_code()), Tokens)


@pytest.mark.req("AU-01")
async def test_same_wish_again_is_answered_not_sent(world: World) -> None:
    """A retry with the same Idempotency-Key gets the same challenge; another wish must wait."""
    asked = await world.ask(key="wish-1")
    again = await world.ask(key="wish-1")

    assert again.challenge.challenge_id == asked.challenge.challenge_id
    assert len(world.sender.sent) == 1
    with pytest.raises(errors.ResendTooEarly):
        await world.ask(key="wish-2")
    with pytest.raises(errors.ResendTooEarly):
        await world.ask()


@pytest.mark.req("AU-01", "AU-12")
async def test_code_is_nowhere_in_the_database(world: World) -> None:
    """T34, T80: no table holds the code, so a dump alone verifies nothing."""
    await world.ask()
    code = world.last_code()
    tables = await world.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'auth'"
    )

    for table in tables:
        rows = await world.rows(f"SELECT t::text AS row FROM {table['table_name']} t")
        cells = [cell for row in rows for cell in row["row"].strip("()").split(",")]
        assert code not in cells
