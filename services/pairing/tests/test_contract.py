"""The contract folder is current, and events written in SQL have the shape of their models."""

import json
from pathlib import Path
from uuid import UUID

import pytest
from services.pairing.tests.test_deadlines import pay, reopen, reroute_session
from services.pairing.tests.world import World

from common.contract import export
from pairing import events
from pairing.app import contract

FOLDER = Path(__file__).parents[1] / "contract"


@pytest.mark.req("OP-04", "OP-07")
def test_the_contract_is_current(tmp_path: Path) -> None:
    """`python -m pairing contract` would change nothing."""
    export(contract(), tmp_path)

    def texts(folder: Path) -> dict[str, str]:
        files = [file for file in folder.rglob("*") if file.is_file()]
        return {str(file.relative_to(folder)): file.read_text() for file in files}

    assert texts(tmp_path) == texts(FOLDER)


@pytest.mark.req("PA-05")
async def test_what_sql_says_is_what_the_model_says(world: World) -> None:
    """The event of reopen_request_v1 is a RequestOpened."""
    mitra = await world.mitra()
    request, blast = await world.offered(mitra)
    assert await world.offers.claim(blast.offers[0].id, mitra)
    await pay(world, request.id)
    await reroute_session(world, request.id)
    await reopen(world, request.id, mitra)

    *_, body = await world.events(events.RequestOpened.subject)

    event = events.RequestOpened.model_validate_json(body)
    assert (request.id, request.customer_id) == (event.request_id, event.customer_id)
    assert set(json.loads(body)) == {"request_id", "customer_id", "at"}
    assert isinstance(event.request_id, UUID)
