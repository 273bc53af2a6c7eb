"""The queue before a claim: it may refuse or wait, never grant."""

import asyncio
from uuid import UUID

import pytest

from common.db import Unavailable
from pairing.errors import RequestTaken
from pairing.handlers.gate import ClaimGate

TICKET = (UUID(int=7), 1)


def mitra(number: int) -> UUID:
    """Name a mitra."""
    return UUID(int=number)


@pytest.mark.req("PA-03")
async def test_only_the_first_of_fifty_reaches_the_claim() -> None:
    """Once the first has won, nobody behind her asks Postgres."""
    gate, asked = ClaimGate(), []

    async def accept(number: int) -> None:
        async with gate.turn(TICKET, mitra(number)):
            asked.append(number)
            await asyncio.sleep(0)
            gate.won(TICKET, mitra(number))

    outcomes = await asyncio.gather(*(accept(n) for n in range(50)), return_exceptions=True)

    assert asked == [0]
    assert sum(isinstance(one, RequestTaken) for one in outcomes) == 49
    assert gate._queues == {}


async def test_when_the_first_fails_the_next_may_try() -> None:
    """A refusal or a crash of whoever is first grants and costs the others nothing."""
    gate, asked = ClaimGate(), []

    async def accept(number: int) -> None:
        async with gate.turn(TICKET, mitra(number)):
            asked.append(number)
            if number < 2:
                raise ValueError
            gate.won(TICKET, mitra(number))

    outcomes = await asyncio.gather(*(accept(n) for n in range(4)), return_exceptions=True)

    assert asked == [0, 1, 2]
    assert [ValueError, ValueError, type(None), RequestTaken] == [type(one) for one in outcomes]


async def test_the_winner_may_come_again() -> None:
    """Her repeated call passes; another attempt of the request starts with a clean slate."""
    gate = ClaimGate()
    gate.won(TICKET, mitra(1))

    async with gate.turn(TICKET, mitra(1)):
        pass
    async with gate.turn((TICKET[0], 2), mitra(2)):
        pass
    with pytest.raises(RequestTaken):
        async with gate.turn(TICKET, mitra(2)):
            pass


async def test_patience_ends() -> None:
    """Whoever waits too long is told to try again, and leaves nothing behind."""
    gate = ClaimGate(patience_seconds=0.02)
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with gate.turn(TICKET, mitra(1)):
            entered.set()
            await leave.wait()

    first = asyncio.ensure_future(slow())
    await entered.wait()
    with pytest.raises(Unavailable):
        async with gate.turn(TICKET, mitra(2)):
            pass
    leave.set()
    await first

    assert gate._queues == {}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old tickets and winners are forgotten: Postgres knows them anyway."""
    monkeypatch.setattr("pairing.handlers.gate._MOST_REMEMBERED", 10)
    gate = ClaimGate()
    for number in range(30):
        gate.remember(UUID(int=number), mitra(1), TICKET)
        gate.won((UUID(int=number), 1), mitra(1))

    assert (len(gate._tickets), len(gate._winners)) == (10, 10)
    assert None is gate.ticket_of(UUID(int=29), mitra(2))
    assert gate.ticket_of(UUID(int=29), mitra(1)) == TICKET
