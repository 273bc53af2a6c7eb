"""Reading the problem documents that the edge answers with."""

from typing import Any, Protocol

_TYPE = "application/problem+json"
_FIELDS = {"type", "title", "status", "code"}


class Answer(Protocol):
    """What an aiohttp client response offers."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def content_type(self) -> str:
        """The media type."""

    async def json(self, *, content_type: str | None = ...) -> Any:
        """Return the parsed body."""


async def load_problem(answer: Answer) -> dict[str, Any]:
    """Return the problem document of an answer; fail if it is not a complete one."""
    assert answer.content_type == _TYPE, f"{answer.status}: {answer.content_type}"
    problem: dict[str, Any] = await answer.json(content_type=None)
    assert problem.keys() >= _FIELDS, problem
    assert problem["status"] == answer.status, problem
    return problem
