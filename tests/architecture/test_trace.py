"""The trace from promises to tests is sound."""

from tests.architecture.promise_trace import marks, promised, unknown


def test_every_mark_names_a_known_promise() -> None:
    """A test cannot claim to prove a promise that nobody made."""
    assert unknown() == []


def test_the_page_and_the_marks_are_read() -> None:
    """Both sides of the trace are found, so an empty trace cannot pass for a clean one."""
    kinds = promised()

    assert kinds["AV-07"] == "base"
    assert kinds["AU-10"] == "beyond"
    assert any(promise == "PA-03" for promise, _ in marks())
