"""Mitras, settings, audit and tidying, on a real Postgres."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from services.auth.tests.world import PHONE, World, operator, origin, together
from tests.support import TestDatabase

from auth import errors
from auth.domain.origin import Origin
from auth.domain.people import Mitra
from auth.handlers.issuing import Tokens
from auth.handlers.otp import Asked
from auth.store.logins import LoginRows


async def switch(world: World, mitra_id: UUID, *, is_active: bool) -> Mitra:
    """Switch a mitra off or on."""
    return await world.handlers.mitras.switch(
        mitra_id, is_active=is_active, reason="test", actor=operator(), origin=origin(200)
    )


@pytest.mark.req("AU-11")
async def test_mitra_is_made_once(world: World) -> None:
    """A mitra is told to the others with her capacity; her number makes no second one."""
    mitra_id = await world.mitra("0812 3456 7890")

    assert (await world.said("evt.auth.mitra_created.v1"))[0] | {"at": ""} == {
        "mitra_id": str(mitra_id),
        "version": 1,
        "capacity": 3,
        "at": "",
    }
    with pytest.raises(errors.PhoneTaken):
        await world.mitra(PHONE)
    assert len(await world.said("evt.auth.mitra_created.v1")) == 1


@pytest.mark.req("AU-11")
async def test_deactivation_ends_all_logins_in_one_commit(world: World) -> None:
    """is_active, version, logins, events and audit change together."""
    mitra_id = await world.mitra()
    one = await world.sign_in(role="mitra", device="a")
    world.turned.forward(61)
    two = await world.sign_in(role="mitra", device="b")

    mitra = await switch(world, mitra_id, is_active=False)

    assert (mitra.is_active, mitra.version) == (False, 2)
    assert set(world.announced.login_ids) == {one.login_id, two.login_id}
    assert [e["version"] for e in await world.said("evt.auth.mitra_deactivated.v1")] == [2]
    assert len(await world.said("evt.auth.login_revoked.v1")) == 2
    assert await world.audited("mitra_deactivated") == 1
    with pytest.raises(errors.LoginEnded):
        await world.refresh(one.refresh_token, device="a")


@pytest.mark.req("AU-11")
async def test_deactivation_is_all_or_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When ending the logins fails, the mitra stays active and nobody is told anything."""
    mitra_id = await world.mitra()
    await world.sign_in(role="mitra")

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(LoginRows, "revoke", fail)
    with pytest.raises(RuntimeError):
        await switch(world, mitra_id, is_active=False)

    assert await world.value("SELECT is_active FROM mitras") is True
    assert await world.said("evt.auth.mitra_deactivated.v1") == []
    assert await world.audited("mitra_deactivated") == 0
    assert world.announced.login_ids == []


@pytest.mark.req("AU-11")
async def test_switching_twice_says_it_once(world: World) -> None:
    """Off twice, on twice: each is told once and the version counts the changes."""
    mitra_id = await world.mitra()
    for is_active in (False, False, True, True):
        mitra = await switch(world, mitra_id, is_active=is_active)

    assert mitra.version == 3
    assert len(await world.said("evt.auth.mitra_deactivated.v1")) == 1
    assert len(await world.said("evt.auth.mitra_reactivated.v1")) == 1
    with pytest.raises(errors.MitraNotFound):
        await switch(world, uuid4(), is_active=False)


@pytest.mark.req("AU-11")
async def test_sign_in_never_slips_past_deactivation(world: World) -> None:
    """Code and deactivation at the same moment: no login of an inactive mitra stays alive."""
    for turn in range(8):
        phone = f"+6281200000{turn:03d}"
        mitra_id = await world.mitra(phone)
        asked = await world.ask(phone, role="mitra", device="a", source=turn)

        async def sign_in(phone: str = phone, asked: Asked = asked, turn: int = turn) -> Tokens:
            code = world.last_code()
            return await world.verify(asked, code, phone=phone, device="a", source=turn)

        acts = [sign_in(), switch(world, mitra_id, is_active=False)]
        await asyncio.gather(*(acts if turn % 2 else acts[::-1]), return_exceptions=True)
        living = await world.value(
            "SELECT count(*) FROM logins WHERE state = 'active' AND user_id = $1", mitra_id
        )
        assert living == 0


@pytest.mark.req("AU-11")
async def test_inactive_mitra_cannot_sign_in(world: World) -> None:
    """She is sent nothing; a code from before is refused; reactivated, she may again."""
    mitra_id = await world.mitra()
    asked = await world.ask(role="mitra")
    code = world.last_code()
    await switch(world, mitra_id, is_active=False)

    with pytest.raises(errors.AccountInactive):
        await world.verify(asked, code)
    world.turned.forward(61)
    await world.ask(role="mitra")
    assert len(world.sender.sent) == 1
    await switch(world, mitra_id, is_active=True)
    world.turned.forward(400)
    assert isinstance(await world.sign_in(role="mitra"), Tokens)


@pytest.mark.req("AU-11")
async def test_operator_ends_logins_of_a_mitra(world: World) -> None:
    """An operator may end a mitra's logins without switching her off."""
    mitra_id = await world.mitra()
    tokens = await world.sign_in(role="mitra")

    ended = await world.handlers.mitras.end_logins(mitra_id, actor=operator(), origin=origin())

    assert ended == 1
    assert world.announced.login_ids == [tokens.login_id]


@pytest.mark.req("AU-15")
async def test_edited_limits_work_at_once(world: World) -> None:
    """Limits changed by an operator hold for the next call, and are told and audited."""
    limits = await world.handlers.limits.read()
    edited = replace(limits, otp=replace(limits.otp, resend_waits_seconds=(5,), tries=1))
    changed = await world.handlers.limits.change(edited, actor=operator(), origin=origin())

    asked = await world.ask()
    assert (changed.version, round(asked.resend_after)) == (1, 5)
    with pytest.raises(errors.CodeInvalid):
        await world.verify(asked, world.wrong_code())
    with pytest.raises(errors.ChallengeExpired):
        await world.verify(asked, world.last_code())
    assert [e["version"] for e in await world.said("evt.auth.config_changed.v1")] == [1]
    assert await world.audited("settings_changed") == 1


@pytest.mark.req("AU-15")
async def test_edits_never_overwrite_each_other(world: World) -> None:
    """Of ten edits of the same version one is kept; the others are told the new version."""
    limits = await world.handlers.limits.read()

    async def edit(n: int) -> object:
        mine = replace(limits, otp=replace(limits.otp, life_seconds=100 + n))
        return await world.handlers.limits.change(mine, actor=operator(), origin=origin())

    for version in (0, 1):
        limits = await world.handlers.limits.read()
        assert limits.version == version
        answers = await together(10, edit)
        refused = [a for a in answers if isinstance(a, errors.ConfigConflict)]
        assert len(refused) == 9
        assert {error.version for error in refused} == {version + 1}


@pytest.mark.req("AU-12")
async def test_every_act_leaves_one_row(world: World) -> None:
    """T76: each act has its one row, with a masked phone and without code or token."""
    await world.mitra("+6281200000001")
    tokens = await world.sign_in()
    child = await world.refresh(tokens.refresh_token)
    rows = await world.rows(
        "SELECT action, phone_masked, a::text AS row FROM audit a ORDER BY audit_id"
    )

    assert [row["action"] for row in rows] == [
        "mitra_created",
        "otp_requested",
        "signed_in",
        "refreshed",
    ]
    text = "".join(row["row"] for row in rows)
    assert PHONE not in text
    assert "+62********890" in text
    for secret in (world.last_code(), tokens.refresh_token, child.access_token):
        assert f'"{secret}"' not in text
        assert f",{secret}," not in text


@pytest.mark.req("AU-12")
async def test_audit_cannot_be_changed(auth_database: TestDatabase, world: World) -> None:
    """T76: the service's own role can neither change nor remove a row, nor its partitions'."""
    await world.mitra()
    async with auth_database.connect("auth") as connection:
        tables = await connection.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'auth' AND c.relname LIKE 'audit%' AND c.relkind IN ('r', 'p')"
        )
        assert len(tables) >= 9
        for table in tables:
            for statement in ("UPDATE {} SET action = 'x_y'", "DELETE FROM {}", "TRUNCATE {}"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement.format(table["relname"]))


@pytest.mark.req("AU-12")
async def test_user_agent_cannot_forge_a_line(world: World) -> None:
    """T76: control characters of a client's header never reach the audit or a list of logins."""
    forged = Origin.of(
        address="10.0.0.1", user_agent="ok\r\nFAKE: line\x1b[31m" + "x" * 500, request_id="r"
    )

    assert "\n" not in forged.user_agent
    assert "\x1b" not in forged.user_agent
    assert len(forged.user_agent) == 200


@pytest.mark.req("AU-12")
async def test_audit_keeps_its_months(auth_database: TestDatabase, world: World) -> None:
    """Coming months are prepared, those past their keeping time go, two books apart."""
    async with auth_database.admin() as admin:
        await admin.execute("SET ROLE auth_owner; SET search_path = auth")
        for book in ("people", "control"):
            await admin.execute(
                f"CREATE TABLE audit_{book}_202601 PARTITION OF audit_{book}"
                " FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z')"
            )
    await world.handlers.housekeeping.keep_audit()
    names = {
        row["relname"]
        for row in await world.rows(
            "SELECT relname FROM pg_class WHERE relname LIKE 'audit_%_202601'"
        )
    }
    age = await world.value("SELECT clock_timestamp() - timestamptz '2026-02-01Z'")
    async with auth_database.admin() as admin:
        await admin.execute("DROP TABLE IF EXISTS auth.audit_control_202601")

    assert ("audit_people_202601" in names) == (age < timedelta(days=90))
    assert ("audit_control_202601" in names) == (age < timedelta(days=400))


@pytest.mark.req("SW-04", "SW-08")
async def test_due_rows_are_settled_once(world: World) -> None:
    """Ended logins and old challenges are listed, settled if really due, and then gone."""
    await world.sign_in()
    login_id = await world.value("SELECT login_id FROM logins")
    challenge_id = await world.value("SELECT challenge_id FROM otp_challenges")
    items = [("login", login_id), ("otp_challenge", challenge_id), ("nonsense", login_id)]
    housekeeping = world.handlers.housekeeping

    assert await housekeeping.settle(items) == 0
    await world.value(
        "UPDATE logins SET expires_at = clock_timestamp() - interval '1 hour' RETURNING 1"
    )
    await world.value(
        "UPDATE otp_challenges SET expires_at = clock_timestamp() - interval '2 hours' RETURNING 1"
    )
    due = await world.rows("SELECT kind, id FROM due_v1(10) ORDER BY kind")

    assert [(row["kind"], row["id"]) for row in due] == items[:2]
    settled = await together(4, lambda _: housekeeping.settle(items))
    assert sum(settled) == 2
    assert await world.audited("login_expired") == 1
    assert await world.rows("SELECT kind FROM due_v1(10)") == []


@pytest.mark.req("SW-08")
async def test_old_rows_go(world: World) -> None:
    """What no limit looks back to any more is deleted."""
    await world.sign_in()
    with pytest.raises(errors.CredentialsInvalid):
        await world.login("nobody@temani.test", "x" * 15)
    world.turned.forward(timedelta(days=9).total_seconds())
    await world.handlers.housekeeping.tick()

    for table in ("otp_phones", "otp_addresses", "otp_minutes", "password_tries"):
        assert await world.value(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.req("AU-08")
async def test_published_functions(world: World) -> None:
    """Neighbours see names, activity and which logins are over; unknown ones are over."""
    mitra_id = await world.mitra(name="Sari")
    tokens = await world.sign_in("+6281200000001", device="a")
    unknown = uuid4()
    logins = [tokens.login_id, unknown]

    over = await world.rows("SELECT login_id FROM revoked_logins_v1($1)", logins)
    assert [row["login_id"] for row in over] == [unknown]
    row = (await world.rows("SELECT * FROM mitra_directory_v1($1)", [mitra_id, unknown]))[0]
    assert tuple(row.values()) == (mitra_id, "Sari", True, 1)
    rows = await world.rows("SELECT * FROM customer_directory_v1($1)", [tokens.person.user_id])
    assert rows[0]["display_name"] == tokens.person.display_name
    await world.value(
        "UPDATE logins SET state = 'revoked', ended_at = now(), ended_reason = 'logout' RETURNING 1"
    )
    assert len(await world.rows("SELECT login_id FROM revoked_logins_v1($1)", logins)) == 2
