"""What chat promises to others is written down, and current."""

import json
from pathlib import Path

from chat.app import contract
from chat.events import SESSION_EVENTS
from common.contract import export

HOME = Path(__file__).resolve().parents[1]


def test_contract_is_current(tmp_path: Path) -> None:
    """The committed files are what the models say now."""
    export(contract(), tmp_path)
    fresh = {file.relative_to(tmp_path): file.read_bytes() for file in _files(tmp_path)}
    committed = {
        file.relative_to(HOME / "contract"): file.read_bytes() for file in _files(HOME / "contract")
    }
    assert committed == fresh, "run: python -m chat contract"


def test_sql_writes_the_same_events() -> None:
    """The bodies that say_session writes have exactly the fields of the models."""
    source = (HOME / "migrations" / "0005_pre_published.sql").read_text()
    body = source.split("jsonb_build_object(")[1].split(");")[0]
    written = {part.strip("' \n") for part in body.replace("\n", " ").split(",") if "'" in part}
    names = {name for name in written if name.isidentifier()}
    for model in SESSION_EVENTS.values():
        assert names == set(model.model_fields)


def test_openapi_names_every_refusal() -> None:
    """The notification route documents what it refuses."""
    document = json.loads((HOME / "contract" / "openapi.json").read_text())
    route = document["paths"]["/api/payments/midtrans/notification"]["post"]
    assert {"200", "403", "404", "422"} <= set(route["responses"])


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())
