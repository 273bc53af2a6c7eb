"""The decisions of auth, without servers."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.domain import logins, otp, passwords
from auth.domain.logins import Ended, Login, RefreshPolicy, Reissue, Reused, Unknown
from auth.domain.origin import Origin, address_key
from auth.domain.otp import AddressSends, Challenge, Codes, OtpPolicy
from auth.domain.passwords import LockoutPolicy
from auth.domain.people import mask_phone
from auth.domain.refresh import RefreshTokens
from auth.domain.secrets import subkey
from auth.errors import RefreshInvalid

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = OtpPolicy()


def challenge(**changes: Any) -> Challenge:
    """Return a living challenge."""
    given_values: dict[str, Any] = {
        "challenge_id": uuid4(),
        "phone": "+6281234567890",
        "role": "customer",
        "device_key": b"d" * 32,
        "channel": "whatsapp",
        "is_silent": False,
        "tries_left": 5,
        "created_at": NOW,
        "expires_at": NOW + timedelta(seconds=300),
        **changes,
    }
    return Challenge(**given_values)


def login(**changes: Any) -> Login:
    """Return a living login that was rotated a while ago."""
    given_values: dict[str, Any] = {
        "login_id": uuid4(),
        "user_id": uuid4(),
        "role": "customer",
        "state": "active",
        "generation": 5,
        "seen_generation": 5,
        "rotated_at": NOW - timedelta(minutes=10),
        "device_key": b"d" * 32,
        "device_name": None,
        "network": "",
        "user_agent": "",
        "created_at": NOW - timedelta(days=1),
        "last_used_at": NOW,
        "expires_at": NOW + timedelta(days=1),
        "absolute_expires_at": NOW + timedelta(days=2),
        **changes,
    }
    return Login(**given_values)


@pytest.mark.req("AU-01")
def test_codes_are_spread_evenly() -> None:
    """Every digit at every place is about equally frequent; leading zeros are kept."""
    codes = Codes(b"k" * 32)
    made = [codes.code(challenge(challenge_id=UUID(int=n))) for n in range(20_000)]

    assert all(len(code) == 6 for code in made)
    for place in range(6):
        counts = Counter(code[place] for code in made)
        # 2000 expected each; seven standard deviations.
        assert all(abs(count - 2000) < 300 for count in counts.values())
        assert len(counts) == 10
    assert len(set(made)) > 19_500


@pytest.mark.req("AU-01")
def test_code_depends_on_everything_it_is_bound_to() -> None:
    """Another key, challenge, phone, role or device gives another code; the same gives the same."""
    one = challenge()
    codes = Codes(b"k" * 32)
    others = [
        Codes(b"x" * 32).code(one),
        codes.code(challenge(challenge_id=uuid4())),
        codes.code(challenge(challenge_id=one.challenge_id, phone="+6281234567891")),
        codes.code(challenge(challenge_id=one.challenge_id, role="mitra")),
        codes.code(challenge(challenge_id=one.challenge_id, device_key=b"e" * 32)),
    ]

    assert codes.code(one) == codes.code(challenge(challenge_id=one.challenge_id, tries_left=1))
    assert sum(other == codes.code(one) for other in others) <= 1  # one in a million each
    assert codes.fits(one, codes.code(one))
    assert not codes.fits(one, "")


def test_subkeys_differ_by_purpose_and_subject() -> None:
    """No key is used for two things."""
    root = b"r" * 32
    keys = {subkey(root, purpose, subject) for purpose in "ab" for subject in (b"", b"1", b"2")}

    assert len(keys) == 6


@pytest.mark.req("AU-02")
@pytest.mark.parametrize(
    ("ages", "wait", "capped"),
    [
        ([], 0, False),
        ([0], 60, False),
        ([59], 1, False),
        ([100, 10], 110, False),
        ([1000, 500, 200], 100, False),
        ([3000, 2000, 1000, 950], 0, False),
        ([3000, 2000, 1500, 1000, 910], 600, True),
        ([3601, 3000], 0, False),
        ([80_000] * 10, 6_400, True),
    ],
)
def test_wait_until_the_next_send(ages: list[int], wait: float, capped: bool) -> None:  # noqa: FBT001
    """The ladder by the hour, five an hour, ten a day: whichever is longest."""
    sent = [NOW - timedelta(seconds=age) for age in ages]
    found, by_cap = otp.send_wait(sent, NOW, POLICY)

    assert max(0, found) == pytest.approx(max(0, wait))
    assert by_cap == capped


@given(st.lists(st.integers(0, 100_000), max_size=15))
def test_waiting_as_told_is_enough(ages: list[int]) -> None:
    """Whoever waits exactly as long as told is not told to wait again."""
    sent = [NOW - timedelta(seconds=age) for age in ages]
    wait, _ = otp.send_wait(sent, NOW, POLICY)
    later = NOW + timedelta(seconds=max(0.0, wait))

    again, _ = otp.send_wait(sent, later, POLICY)

    assert again <= 1e-6


@given(st.lists(st.tuples(st.integers(0, 4000), st.sampled_from("abcdefgh")), max_size=15))
def test_address_waits_as_told(sends: list[tuple[int, str]]) -> None:
    """The same for an address: by count and by different phones."""
    at = [NOW - timedelta(seconds=age) for age, _ in sends]
    found = AddressSends(at, [to for _, to in sends])
    wait = otp.address_wait(found, "a", NOW, POLICY)
    later = NOW + timedelta(seconds=max(0.0, wait))

    assert otp.address_wait(found, "a", later, POLICY) <= 1e-6
    recent = [to for moment, to in zip(at, found.sent_to, strict=True) if moment > NOW - otp.HOUR]
    if len(recent) >= 10 or len(set(recent) - {"a"}) >= 5:
        assert wait > 0


@pytest.mark.req("AU-06")
@pytest.mark.parametrize(
    ("changes", "generation", "verdict"),
    [
        ({"rotated_at": NOW - timedelta(seconds=30)}, 4, Reissue(late=False)),
        ({"rotated_at": NOW - timedelta(seconds=31)}, 4, Reused("child_seen")),
        ({"rotated_at": NOW - timedelta(seconds=31), "seen_generation": 4}, 4, Reissue(late=True)),
        ({"rotated_at": NOW - timedelta(hours=24), "seen_generation": 4}, 4, Reissue(late=True)),
        ({"rotated_at": NOW - timedelta(hours=25), "seen_generation": 4}, 4, Reused("too_late")),
        ({"rotated_at": NOW}, 3, Reused("old_branch")),
        ({"rotated_at": NOW}, 0, Reused("old_branch")),
        ({}, 6, Unknown()),
        ({"state": "revoked"}, 4, Ended("revoked")),
        ({"state": "revoked", "rotated_at": NOW}, 4, Ended("revoked")),
        ({"state": "expired"}, 5, Ended("expired")),
        ({"expires_at": NOW}, 4, Ended("expired")),
    ],
)
def test_worth_of_a_token_that_is_not_current(
    changes: dict[str, Any], generation: int, verdict: logins.Verdict
) -> None:
    """30 s for everybody, 24 h while the child is unseen, nothing for what is older or over."""
    assert logins.judge_rotated(login(**changes), generation, NOW, RefreshPolicy()) == verdict


@pytest.mark.req("AU-07")
def test_the_oldest_are_evicted() -> None:
    """As many go as must, the oldest first."""
    rows = [login(created_at=NOW - timedelta(days=n)) for n in range(5)]

    assert logins.to_evict(rows, 6) == []
    assert logins.to_evict(rows, 5) == [rows[4]]
    assert logins.to_evict(rows, 3) == [rows[4], rows[3], rows[2]]


@given(st.uuids(), st.integers(0, 2**40), st.binary(min_size=32, max_size=32))
def test_refresh_token_says_what_it_was_made_of(
    login_id: UUID, generation: int, device: bytes
) -> None:
    """Made twice it is the same text; read, it is what was put in."""
    tokens = RefreshTokens([b"r" * 32])
    text = tokens.mint(login_id, generation, audience="app", device_key=device)
    read = tokens.read(text, audience="app", device_key=device)

    assert text == tokens.mint(login_id, generation, audience="app", device_key=device)
    assert (read.login_id, read.generation) == (login_id, generation)
    with pytest.raises(RefreshInvalid):
        tokens.read(text, audience="control", device_key=device)


def test_short_root_is_refused() -> None:
    """A root that could be guessed makes no tokens."""
    with pytest.raises(ValueError, match="32 bytes"):
        RefreshTokens([b"short"])


@pytest.mark.req("AU-09")
def test_waiting_after_wrong_passwords() -> None:
    """Nothing before the fifth, then a minute, doubled up to a quarter of an hour."""
    waits = [passwords.block_seconds(n, LockoutPolicy()) for n in (1, 4, 5, 6, 7, 8, 9, 10, 500)]

    assert waits == [0, 0, 60, 120, 240, 480, 900, 900, 900]


@pytest.mark.parametrize(
    ("address", "key", "network"),
    [
        ("10.1.2.3", "10.1.2.3", "10.1.2.0/24"),
        ("::ffff:10.1.2.3", "10.1.2.3", "10.1.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("nonsense", "unknown", ""),
    ],
)
def test_addresses(address: str, key: str, network: str) -> None:
    """IPv6 customers own a /64; lists of logins show a neighbourhood only."""
    assert address_key(address) == key
    assert Origin.of(address=address, user_agent="", request_id="").network == network


def test_masked_phone() -> None:
    """Country and last three digits."""
    assert mask_phone("+6281234567890") == "+62********890"
