"""Facts on their way into Valkey, and what the script says became of them."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from mirror.outcomes import Applied, FactName, Mended
from mirror.values import ActiveFact, Fact, LoadFact, OnlineFact
from mirror.wire import Argument

_NEWER: Final = ord("1")
_HEALED: Final = ord("3")
_LACKED: Final = ord("1")
_NAMES: Final[dict[type[Fact], FactName]] = {
    OnlineFact: "online",
    ActiveFact: "active",
    LoadFact: "load",
}
_LETTERS: Final[dict[type[Fact], bytes]] = {OnlineFact: b"o", ActiveFact: b"a", LoadFact: b"l"}
_TRUTH: Final = {"1": "True", "0": "False"}


def arguments(facts: Sequence[Fact], now: float) -> list[Argument]:
    """Write facts for the script; ages of beats count back from `now`, ms on Valkey's clock."""
    args: list[Argument] = []
    for fact in facts:
        stamp = fact.stamp
        args += (str(fact.mitra_id), _LETTERS[type(fact)], stamp.pg_epoch, stamp.version)
        args += _value(fact, now)
    return args


def slices(facts: Sequence[Fact], size: int) -> Iterator[Sequence[Fact]]:
    """Cut facts into parts of at most `size`; those of one mitra, who stand together, stay so."""
    start = 0
    while len(facts) - start > size:
        end = start + size
        while end > start + 1 and facts[end - 1].mitra_id == facts[end].mitra_id:
            end -= 1
        yield facts[start:end]
        start = end
    if start < len(facts):
        yield facts[start:]


def loads_alone(facts: Sequence[Fact]) -> list[LoadFact]:
    """Return these facts when all of them are loads."""
    loads = [fact for fact in facts if isinstance(fact, LoadFact)]
    return loads if len(loads) == len(facts) else []


def load_arguments(loads: Sequence[LoadFact]) -> list[Argument]:
    """Write loads for the script that takes nothing else."""
    args: list[Argument] = []
    for one in loads:
        free = int(one.load < one.capacity)
        args += (str(one.mitra_id), one.stamp.pg_epoch, str(one.stamp), _load(one), free)
    return args


def applied(facts: Sequence[Fact], states: bytes, kept: bytes, held: Sequence[bytes]) -> Applied:
    """Read what became of these facts."""
    changed = list(_changed(facts, states, held)) if held else []
    wrong = len(kept) - kept.count(b"0")
    if wrong:
        changed += _kept(facts, kept)
    return Applied(
        refused=states.count(b"0"),
        newer=states.count(b"1"),
        same=states.count(b"2"),
        healed=states.count(b"3") + wrong,
        mended=tuple(changed),
    )


def _value(fact: Fact, now: float) -> tuple[Argument, Argument]:
    match fact:
        case OnlineFact(is_online=is_online, beat_age_ms=age):
            return (int(is_online), 0 if age is None else int(now - age))
        case ActiveFact(is_active=is_active):
            return (int(is_active), 0)
        case LoadFact():
            return (_load(fact), 0)


def _load(fact: LoadFact) -> str:
    return f"{fact.load}/{fact.capacity}"


def _changed(facts: Sequence[Fact], states: bytes, held: Sequence[bytes]) -> Iterator[Mended]:
    before = iter(held)
    for fact, state in zip(facts, states, strict=True):
        if state not in (_NEWER, _HEALED):
            continue
        old, true = next(before).decode(), str(_value(fact, 0)[0])
        if old != true:
            yield Mended(
                fact.mitra_id,
                _NAMES[type(fact)],
                "missed" if state == _NEWER else "wrong",
                _TRUTH.get(old, old) or None,
                _TRUTH.get(true, true),
            )


def _kept(facts: Sequence[Fact], kept: bytes) -> Iterator[Mended]:
    # Facts of one mitra stand together: one digit for each such group.
    groups = groupby(facts, key=lambda fact: fact.mitra_id)
    for (mitra_id, _), digit in zip(groups, kept, strict=True):
        if digit != ord("0"):
            lacked = digit == _LACKED
            yield Mended(mitra_id, "available", "kept_answer", str(not lacked), str(lacked))
