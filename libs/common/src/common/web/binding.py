"""From an HTTP request to the arguments of a handler; refuses what does not have the shape."""

import asyncio
import functools
import re
from typing import Any, get_origin
from uuid import UUID

import orjson
from aiohttp import web
from aiohttp.web import RequestPayloadError
from pydantic import BaseModel, TypeAdapter, ValidationError

from common import baseline
from common.web import problems
from common.web.context import Context, IdempotencyKey
from common.web.routes import Operation

KEY_PATTERN = r"^[\x21-\x7e]{1,128}$"
_KEY = re.compile(KEY_PATTERN)
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_FRACTION = re.compile(rb"[0-9][.eE]")
# orjson reads deeper documents than it writes (254); nothing here is nested as deeply as this.
_DEEPEST = 64
# Beyond this a float no longer names one integer.
_WHOLE = 2.0**53
_BARE_NUMBER = re.compile(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,18})")


async def read_body(request: web.Request, operation: Operation) -> bytes:
    """Read the body of a route that has one; bounded in size and time."""
    if operation.body_adapter is None:
        return b""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise problems.UnsupportedMediaType
    try:
        async with asyncio.timeout(baseline.HTTP_BODY_TIMEOUT):
            raw = await request.read()
    except TimeoutError:
        raise problems.BodyTimeout(headers={"Connection": "close"}) from None
    except web.HTTPRequestEntityTooLarge:
        raise problems.BodyTooLarge from None
    except (RequestPayloadError, ConnectionResetError, ValueError) as error:
        raise problems.InvalidJson("The body ended early or is badly framed.") from error
    if raw or operation.body_required:
        _check_media_type(request)
    return raw


def bind(request: web.Request, operation: Operation, context: Context) -> dict[str, Any]:
    """Return the keyword arguments of the handler."""
    arguments: dict[str, Any] = {
        name: path_value(adapter, operation.path_types[name], request.match_info[name])
        for name, adapter in operation.path_adapters.items()
    }
    if operation.query_type is not None:
        arguments["query"] = query_value(request, operation.query_type)
    if operation.idempotency != "none":
        arguments["idempotency_key"] = key_value(request, operation)
    if operation.body_adapter is not None and (context.body or operation.body_required):
        arguments["body"] = body_value(operation.body_adapter, context.body)
    if operation.context_name:
        arguments[operation.context_name] = context
    return arguments


def body_value(adapter: TypeAdapter[Any], raw: bytes) -> Any:
    """Validate a JSON body: strict JSON in, no NUL, and types as the schema names them."""
    document = parse_json(raw)
    if _FRACTION.search(raw) and settle(document):
        raw = orjson.dumps(document)
    try:
        # Strict: "5" is no integer here, as the published schema says.
        value = adapter.validate_json(raw, strict=True)
    except ValidationError as error:
        raise problems.InvalidBody(errors=problems.field_problems(error)) from None
    if b"\\u0000" in raw and holds_nul(adapter.dump_python(value)):
        raise problems.InvalidBody("Texts must not contain the NUL character.")
    return value


def parse_json(raw: bytes) -> Any:
    """Parse strict JSON: UTF-8, no NaN, no lone surrogates, bounded depth."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise problems.InvalidJson from None
    # Counting brackets is cheap, and nearly no document has so many.
    if raw.count(b"[") + raw.count(b"{") > _DEEPEST and _is_deeper(document, _DEEPEST):
        raise problems.InvalidJson("The document is nested too deeply.")
    return document


def _is_deeper(document: object, most: int) -> bool:
    level = [document]
    for _ in range(most + 1):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def settle(document: object) -> bool:
    """Turn 1.0 into 1, in place, as both spell an integer; tells whether anything changed.

    Iterative, so that depth cannot exhaust the stack. A lone top-level number is left as it is.
    """
    changed, waiting = False, [document]
    while waiting:
        item = waiting.pop()
        if not isinstance(item, dict | list):
            continue
        places: list[tuple[Any, Any]] = list(
            item.items() if isinstance(item, dict) else enumerate(item)
        )
        for place, value in places:
            if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE:
                item[place] = int(value)
                changed = True
            else:
                waiting.append(value)
    return changed


def holds_nul(value: object) -> bool:
    """Tell whether any text of a validated value holds NUL, which Postgres cannot store."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and "\x00" in item:
            return True
        if isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            waiting.extend(item)
    return False


def path_value(adapter: TypeAdapter[Any], kind: Any, raw: str) -> Any:
    """Validate one part of the path; a wrong shape means that nothing can be there."""
    if not _sound(raw) or (kind is UUID and not _UUID.fullmatch(raw)):
        raise problems.InvalidPath
    if kind is int and not _NUMBER.fullmatch(raw):
        raise problems.InvalidPath
    try:
        return adapter.validate_strings(raw)
    except ValidationError:
        raise problems.InvalidPath from None


def query_value(request: web.Request, kind: type[BaseModel]) -> BaseModel:
    """Validate the query parameters that the model names; others are ignored."""
    values: dict[str, str | list[str]] = {}
    for name, field in kind.model_fields.items():
        key = field.alias or name
        given = request.query.getall(key, [])
        if not given:
            continue
        if not all(_sound(value) for value in given):
            raise problems.InvalidQuery(errors=[_refused(key, "text", "holds NUL or is no text")])
        if get_origin(field.annotation) in (list, set, tuple, frozenset):
            values[key] = given
            continue
        if len(given) > 1:
            raise problems.InvalidQuery(errors=[_refused(key, "repeated", "was given twice")])
        if field.annotation in (int, int | None) and not _NUMBER.fullmatch(given[0]):
            raise problems.InvalidQuery(errors=[_refused(key, "int_parsing", "is no integer")])
        if _BARE_NUMBER.fullmatch(given[0]) and name in moments_of(kind):
            # pydantic would take it for seconds since 1970; the schema says RFC 3339.
            raise problems.InvalidQuery(errors=[_refused(key, "datetime_parsing", "is no time")])
        values[key] = given[0]
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise problems.InvalidQuery(errors=problems.field_problems(error)) from None


@functools.cache
def moments_of(kind: type[BaseModel]) -> frozenset[str]:
    """Return the fields of a query model that are times."""
    properties = kind.model_json_schema(by_alias=False).get("properties", {})
    return frozenset(
        name
        for name, schema in properties.items()
        if any(part.get("format") == "date-time" for part in (schema, *schema.get("anyOf", [])))
    )


def key_value(request: web.Request, operation: Operation) -> IdempotencyKey | None:
    """Read the Idempotency-Key header."""
    given = request.headers.getall("Idempotency-Key", [])
    if not given and operation.idempotency == "optional":
        return None
    if len(given) != 1 or not _KEY.fullmatch(given[0]):
        detail = "Idempotency-Key must be one value of 1 to 128 visible ASCII characters."
        raise problems.InvalidHeader(detail)
    return IdempotencyKey(given[0])


def bearer(request: web.Request) -> str | None:
    """Return the bearer token of the Authorization header, None when there is no usable one."""
    given = request.headers.getall("Authorization", [])
    if len(given) != 1:
        return None
    scheme, _, token = given[0].partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or " " in token:
        return None
    return token


def _check_media_type(request: web.Request) -> None:
    given = request.headers.getall("Content-Type", [])
    if len(given) != 1:
        raise problems.UnsupportedMediaType
    kind, _, parameters = given[0].partition(";")
    charset = re.fullmatch(r'\s*(?:charset\s*=\s*"?([\w-]+)"?\s*)?;?\s*', parameters, re.IGNORECASE)
    if kind.strip().lower() != "application/json" or charset is None:
        raise problems.UnsupportedMediaType
    if (charset[1] or "utf-8").lower() not in ("utf-8", "utf8"):
        raise problems.UnsupportedMediaType


def _sound(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _refused(name: str, code: str, message: str) -> problems.FieldProblem:
    return problems.FieldProblem(pointer=f"/{name}", code=code, message=message)
