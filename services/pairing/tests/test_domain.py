"""The moves and refusals, without I/O."""

import re
from itertools import product
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import pytest
from pydantic import ValidationError
from services.pairing.tests.world import settings_for

from pairing import domain, errors
from pairing.domain import OfferState, RequestState, Standing

ME, OTHER, REQUEST = UUID(int=1), UUID(int=2), UUID(int=3)


def standing(**changes: Any) -> Standing:
    """An open offer of a searching request, changed as told."""
    facts: dict[str, Any] = {
        "offer_state": "open",
        "late": False,
        "offer_attempt": 1,
        "request_id": REQUEST,
        "customer_id": UUID(int=9),
        "request_state": "searching",
        "request_attempt": 1,
        "mitra_id": None,
        "session_id": None,
    }
    return Standing(**(facts | changes))


def test_every_state_has_its_moves() -> None:
    """The tables name each state, and only states."""
    assert set(get_args(RequestState)) == set(domain.REQUEST_MOVES)
    assert set(get_args(OfferState)) == set(domain.OFFER_MOVES)
    for moves in (*domain.REQUEST_MOVES.values(), *domain.OFFER_MOVES.values()):
        assert moves <= set(domain.REQUEST_MOVES) | set(domain.OFFER_MOVES)


def test_terminal_states_absorb() -> None:
    """Nothing leaves an end state; matched may be left only by a reroute."""
    assert not domain.REQUEST_MOVES["expired"] | domain.REQUEST_MOVES["cancelled"]
    assert {"searching"} == domain.REQUEST_MOVES["matched"]
    assert [state for state, moves in domain.OFFER_MOVES.items() if moves] == ["open"]


def test_the_database_knows_the_same_states() -> None:
    """The CHECKs of the migration list the states of the tables."""
    text = (Path(__file__).parents[1] / "migrations" / "0001_pre_requests.sql").read_text()
    listed = [
        set(re.findall(r"'(\w+)'", found)) for found in re.findall(r"state IN \(([^)]*)", text)
    ]
    assert [set(domain.REQUEST_MOVES), set(domain.OFFER_MOVES)] == listed


@pytest.mark.req("PA-03")
@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        (
            standing(request_state="matched", mitra_id=OTHER, offer_state="withdrawn"),
            errors.RequestTaken,
        ),
        (standing(request_state="matched", mitra_id=OTHER), errors.RequestTaken),
        (standing(request_state="cancelled", offer_state="withdrawn"), errors.OfferExpired),
        (standing(request_state="expired", offer_state="withdrawn"), errors.OfferExpired),
        (standing(late=True), errors.OfferExpired),
        (standing(offer_state="expired"), errors.OfferExpired),
        (standing(offer_state="declined"), errors.OfferExpired),
        (
            standing(offer_state="declined", request_state="matched", mitra_id=OTHER),
            errors.OfferExpired,
        ),
        (standing(offer_state="accepted", request_attempt=2), errors.OfferExpired),
    ],
)
def test_a_loser_is_told_why(offer: Standing, expected: type[Exception]) -> None:
    """Taken by another is 409, no more open for any other reason is 410."""
    assert expected is type(domain.refusal(offer))


@pytest.mark.req("PA-03")
def test_a_standing_is_a_win_or_open_or_refused() -> None:
    """For every combination of facts exactly one answer applies."""
    for offer_state, late, request_state, attempt, mitra in product(
        get_args(OfferState), (True, False), get_args(RequestState), (1, 2), (None, ME, OTHER)
    ):
        one = standing(
            offer_state=offer_state,
            late=late,
            request_state=request_state,
            request_attempt=attempt,
            mitra_id=mitra,
        )
        assert not (domain.own_win(one, ME) and domain.still_open(one))
        if domain.own_win(one, ME):
            assert (offer_state, request_state, mitra, attempt) == ("accepted", "matched", ME, 1)
        assert isinstance(domain.refusal(one), errors.PairingError)


def test_every_error_has_its_own_code() -> None:
    """Codes are stable, distinct names; the docstring is the message."""
    classes = errors.PairingError.__subclasses__()
    assert len({one.code for one in classes}) == len(classes)
    assert all(one.__doc__ for one in classes)


@pytest.mark.req("AV-05")
def test_limits_must_fit() -> None:
    """A heartbeat that outlasts the fresh limit would make every mirror deaf: no start."""
    with pytest.raises(ValidationError, match="FRESH_LIMIT_SECONDS must be at least"):
        settings_for(heartbeat_seconds=60)
