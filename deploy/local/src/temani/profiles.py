"""Profiles: a set of service settings and the people and prices to seed, by name."""

import json
from dataclasses import dataclass
from pathlib import Path

from temani import layout

FOLDER = layout.DEPLOY / "local" / "profiles"


@dataclass(frozen=True)
class Tier:
    """A length of session on offer."""

    tier_id: str
    name: str
    duration_seconds: int
    price_idr: int


@dataclass(frozen=True)
class Mitra:
    """A mitra who exists after seeding."""

    phone: str
    display_name: str


@dataclass(frozen=True)
class Profile:
    """Settings for every service, and what is seeded."""

    name: str
    settings: dict[str, str]
    tiers: tuple[Tier, ...]
    mitras: tuple[Mitra, ...]
    customers: tuple[str, ...]


def names() -> list[str]:
    """Return the profiles there are."""
    return sorted(path.stem for path in FOLDER.glob("*.env"))


def load(name: str) -> Profile:
    """Read a profile by name."""
    seed = json.loads((FOLDER / f"{name}.seed.json").read_text())
    return Profile(
        name=name,
        settings=_read_settings(FOLDER / f"{name}.env"),
        tiers=tuple(Tier(**values) for values in seed["tiers"]),
        mitras=tuple(Mitra(**values) for values in seed["mitras"]),
        customers=tuple(seed["customers"]),
    )


def _read_settings(file: Path) -> dict[str, str]:
    lines = (line.strip() for line in file.read_text().splitlines())
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}
