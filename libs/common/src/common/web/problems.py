"""What a caller is told on a refusal: RFC 9457 problem documents with a stable code."""

import http
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

PROBLEM_JSON = "application/problem+json"


class FieldProblem(BaseModel):
    """One place of the input that was refused; never repeats the value itself."""

    model_config = ConfigDict(frozen=True)

    pointer: str = Field(description="JSON pointer (or parameter name) of the refused value")
    code: str
    message: str


class ProblemView(BaseModel):
    """The body of every refusal; `code` is stable, the texts are for people."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int = Field(ge=400, le=599)
    code: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    detail: str
    errors: list[FieldProblem] = []


class Problem(Exception):
    """The request was refused by the edge itself."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or summary_of(type(self)))
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class BadRequest(Problem):
    """This is no valid HTTP request."""


class InvalidJson(Problem):
    """The body is no valid JSON document in UTF-8."""

    status, code = 400, "invalid_json"


class InvalidBody(Problem):
    """The body does not have the documented shape."""

    status, code = 422, "invalid_body"


class InvalidQuery(Problem):
    """A query parameter does not have the documented shape."""

    status, code = 422, "invalid_query"


class InvalidHeader(Problem):
    """A request header does not have the documented shape."""

    status, code = 422, "invalid_header"


class InvalidValue(Problem):
    """A value is outside of what can be stored."""

    status, code = 422, "invalid_value"


class InvalidPath(Problem):
    """Nothing can exist at this address: a part of the path has the wrong shape."""

    status, code = 404, "invalid_path"


class NotFound(Problem):
    """Nothing exists at this address."""

    status, code = 404, "not_found"


class MethodNotAllowed(Problem):
    """This address does not know this method."""

    status, code = 405, "method_not_allowed"


class BodyTimeout(Problem):
    """The body did not arrive in time."""

    status, code = 408, "body_timeout"


class BodyTooLarge(Problem):
    """The body is larger than 64 KiB."""

    status, code = 413, "body_too_large"


class UnsupportedMediaType(Problem):
    """The body must be application/json in UTF-8 without a content encoding."""

    status, code = 415, "unsupported_media_type"


class ExpectationFailed(Problem):
    """The only expectation known here is 100-continue."""

    status, code = 417, "expectation_failed"


class UpgradeRequired(Problem):
    """This address speaks WebSocket only."""

    status, code = 426, "upgrade_required"


class Unauthenticated(Problem):
    """A valid access token is needed."""

    status, code = 401, "unauthenticated"


class Forbidden(Problem):
    """This login may not do that."""

    status, code = 403, "forbidden"


class RateLimited(Problem):
    """Too many requests; try again later."""

    status, code = 429, "rate_limited"

    def __init__(self, *, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after


class Internal(Problem):
    """Something went wrong on our side."""

    status, code = 500, "internal"


class ServiceUnavailable(Problem):
    """The service cannot answer right now; try again later."""

    status, code = 503, "unavailable"


def summary_of(error: type[Exception]) -> str:
    """Return the first line of an error's docstring: its message."""
    return (error.__doc__ or error.__name__).strip().splitlines()[0]


def code_of(error: type[Exception]) -> str:
    """Return the stable code of an error class."""
    return str(getattr(error, "code", "internal"))


def retry_after_header(seconds: float) -> str:
    """Render whole seconds, at least one: 0 would invite an immediate retry."""
    return str(max(1, math.ceil(seconds)))


def problem_document(  # one keyword per member of the document
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    fields: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the members of a problem document; own members win over `fields`."""
    document: dict[str, Any] = dict(fields or {})
    document |= {
        "type": f"urn:temani:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "errors": [error.model_dump() for error in errors],
    }
    return document


def problem_response(error: Exception, status: int) -> web.Response:
    """Render an error that has `code`, and maybe `fields()`, `errors`, `headers`, `retry_after`."""
    fields = getattr(error, "fields", None)
    hidden = status >= http.HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Problem)
    document = problem_document(
        status=status,
        code=code_of(type(error)),
        title=summary_of(type(error)),
        # What went wrong on our side is nobody's business; what the caller did wrong is its own.
        detail=summary_of(type(error)) if hidden else str(error) or summary_of(type(error)),
        errors=getattr(error, "errors", ()) if isinstance(error, Problem) else (),
        fields=fields() if callable(fields) else None,
    )
    headers = dict(error.headers) if isinstance(error, Problem) else {}
    if status in (429, 503) or hasattr(error, "retry_after"):
        headers["Retry-After"] = retry_after_header(getattr(error, "retry_after", 1.0))
    if status == http.HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        status=status,
        body=orjson.dumps(document, default=str),
        content_type=PROBLEM_JSON,
        headers=headers,
    )


def field_problems(error: ValidationError, *, limit: int = 20) -> list[FieldProblem]:
    """Turn a validation error into places and reasons, without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        FieldProblem(
            pointer="/" + "/".join(_escape(str(part)) for part in item["loc"]),
            code=item["type"],
            message=item["msg"],
        )
        for item in found[:limit]
    ]


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")[:100]
