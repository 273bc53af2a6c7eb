"""What is rendered by hand is what its model says."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from availability.views.statuses import HeartbeatView, heartbeat_json


@given(
    is_online=st.booleans(),
    seconds=st.floats(0.001, 600),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_a_heartbeats_answer_is_the_models(
    *, is_online: bool, seconds: float, now: datetime
) -> None:
    """Both write the same document: same members, same numbers, same moment."""
    view = HeartbeatView(is_online=is_online, next_beat_seconds=seconds, server_time=now)
    rendered = heartbeat_json(is_online=is_online, next_beat_seconds=seconds, server_time=now)

    assert HeartbeatView.model_validate_json(rendered) == view


def test_a_heartbeats_answer_has_the_models_letters() -> None:
    """Down to the letter where it matters: Z for UTC, microseconds as they are."""
    for now in (datetime(2026, 11, 23, 16, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        view = HeartbeatView(is_online=True, next_beat_seconds=20.0, server_time=now)

        assert view.model_dump_json().encode() == heartbeat_json(
            is_online=True, next_beat_seconds=20.0, server_time=now
        )
