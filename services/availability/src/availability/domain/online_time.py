"""How long a mitra was online: windows and the intervals within them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from availability.domain.status import OfflineReason
from availability.errors import WindowEmpty, WindowTooLong

LONGEST_WINDOW = timedelta(days=62)
USUAL_WINDOW = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when; the end is never later than now."""

    starts_at: datetime
    ends_at: datetime


def window(*, starts_at: datetime | None, ends_at: datetime | None, now: datetime) -> Window:
    """Return the window that is meant: up to now and a day long unless said otherwise.

    An end in the future means now. Raises WindowEmpty, WindowTooLong.
    """
    until = now if ends_at is None else min(ends_at, now)
    since = until - USUAL_WINDOW if starts_at is None else starts_at
    if since >= until:
        raise WindowEmpty
    if until - since > LONGEST_WINDOW:
        raise WindowTooLong
    return Window(since, until)


@dataclass(frozen=True, slots=True)
class Interval:
    """A time online, as far as it lies within the window.

    `is_open`: she was still online at the window's end; then there is no `reason`, also later when
    one is known: a window in the past is answered the same for ever.
    """

    starts_at: datetime
    ends_at: datetime
    seconds: float
    reason: OfflineReason | None
    is_open: bool
    went_online_at: datetime


@dataclass(frozen=True, slots=True)
class OnlineTime:
    """The sum over the whole window, and a page of the intervals it is the sum of."""

    window: Window
    seconds: float
    count: int
    intervals: Sequence[Interval]
    next_cursor: str | None
