"""Beside neighbours whose release does not publish yet what this one asks for."""

import pytest
from services.availability.tests.site import Site


@pytest.mark.req("OP-04", "AV-13")
async def test_before_the_neighbours_say_since_when_a_status_has_no_ages(site: Site) -> None:
    """Availability may be deployed before auth and chat: her status answers all the same."""
    mitra = await site.world.mitra()
    names = ("auth.mitra_directory_v{}(uuid[])", "chat.mitra_load_v{}(uuid[])")
    for name in names:
        plain = name.split(".")[1].split("(")[0]
        await site.admin.execute(f"ALTER FUNCTION {name.format(2)} RENAME TO {plain.format(99)}")
    try:
        status, answer = await site.call("GET", "/api/mitra/status", user=mitra)
    finally:
        for name in names:
            plain = name.split(".")[1].split("(")[0]
            await site.admin.execute(
                f"ALTER FUNCTION {name.format(99)} RENAME TO {plain.format(2)}"
            )

    assert status == 200
    assert answer["available"] is True
    assert {fact["since"] for fact in answer["facts"]} == {None}
