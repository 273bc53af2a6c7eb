"""Every producer's example is understood by every consumer; only JSON crosses the border."""

import importlib
import json
from pathlib import Path

import pytest

from common.bus import Heard
from common.contract import Contract, export

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("auth", "availability", "pairing", "chat", "sweeper")


def contract_of(service: str) -> Contract:
    """Return what a service promises, from its own code."""
    contract: Contract = importlib.import_module(f"{service}.app").contract()
    return contract


def heard() -> list[tuple[str, str, type[Heard]]]:
    """List (consumer, subject, model) for every event that a service hears."""
    return [
        (service, subject, model)
        for service in SERVICES
        for subject, model in contract_of(service).heard.items()
        if subject.startswith("evt.")
    ]


def examples() -> dict[str, Path]:
    """Map each subject that somebody produces to its committed example."""
    return {
        path.stem: path
        for service in SERVICES
        for path in (ROOT / "services" / service / "contract" / "examples").glob("*.json")
    }


@pytest.mark.req("OP-04")
@pytest.mark.parametrize(
    ("consumer", "subject", "model"), heard(), ids=lambda value: getattr(value, "__name__", value)
)
def test_consumer_reads_the_producers_example(
    consumer: str, subject: str, model: type[Heard]
) -> None:
    """What a service hears exists, and its own model of it fits the producer's example."""
    produced = examples()
    assert subject in produced, f"{consumer} hears {subject}, which nobody says"

    model.model_validate(json.loads(produced[subject].read_text(encoding="utf-8")))


@pytest.mark.req("OP-04")
def test_somebody_listens() -> None:
    """The list of inbound models is not empty, so the test above cannot pass by finding none."""
    assert {consumer for consumer, _, _ in heard()} >= {"availability", "pairing", "chat"}


@pytest.mark.req("OP-07")
@pytest.mark.parametrize("service", SERVICES)
def test_committed_contract_is_what_the_code_promises(service: str, tmp_path: Path) -> None:
    """`make contract` would change no file: the reviewed contract is the real one."""
    committed = ROOT / "services" / service / "contract"

    export(contract_of(service), tmp_path)

    fresh = {p.relative_to(tmp_path): p.read_text() for p in tmp_path.rglob("*.json")}
    known = {p.relative_to(committed): p.read_text() for p in committed.rglob("*.json")}
    assert known == fresh
