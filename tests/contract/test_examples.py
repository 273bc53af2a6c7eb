"""Every producer's example is understood by every consumer; only JSON crosses the border."""

import importlib
import inspect
import json
from pathlib import Path

import pytest

from common.bus import Heard

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("auth", "availability", "pairing", "chat", "sweeper")


def heard() -> list[tuple[str, str, type[Heard]]]:
    """List (consumer, subject, model) for every inbound model of every service."""
    found = []
    for service in SERVICES:
        if not (ROOT / f"services/{service}/src/{service}/inbound.py").exists():
            continue
        module = importlib.import_module(f"{service}.inbound")
        for _, model in inspect.getmembers(module, inspect.isclass):
            if issubclass(model, Heard) and model.__module__ == module.__name__:
                subjects = getattr(model, "subjects", ()) or (getattr(model, "subject", ""),)
                found += [(service, subject, model) for subject in subjects if subject]
    return found


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
