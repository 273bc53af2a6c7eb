"""The OpenAPI 3.1 description of the routes, read from the same declarations that serve them."""

import http
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from common.web import problems
from common.web.binding import KEY_PATTERN
from common.web.middlewares import EDGE_STATUSES
from common.web.routes import Operation

NO_NUL = r"^[^\u0000]*$"
REF = "#/components/schemas/{model}"
VERSION = "1.0.0"


def describe(
    *, title: str, operations: Sequence[Operation], statuses: Mapping[type[Exception], int]
) -> dict[str, Any]:
    """Build the OpenAPI document of these operations."""
    table = {**EDGE_STATUSES, **statuses}
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    names: dict[str, int] = {}
    for operation in operations:
        names[operation.name] = names.get(operation.name, 0) + 1
        suffix = "" if names[operation.name] == 1 else f"_{names[operation.name]}"
        described = _operation(operation, schemas=schemas, table=table)
        described["operationId"] = operation.name + suffix
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": VERSION},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT (at+jwt)"}
            },
            "headers": _HEADERS,
        },
    }


class _Schemas:
    """All models of all operations, generated together so that names stay unique."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        inputs = [op.body_type for op in operations if op.body_type is not None]
        outputs = [op.result_type for op in operations if op.result_type is not None]
        outputs += [kind for op in operations for kind in op.replies.values() if kind]
        self._adapters: dict[tuple[int, JsonSchemaMode], dict[str, Any]] = {}
        wanted: list[tuple[Any, JsonSchemaMode, TypeAdapter[Any]]] = []
        modes: tuple[tuple[list[Any], JsonSchemaMode], ...] = (
            (inputs, "validation"),
            ([*outputs, problems.ProblemView], "serialization"),
        )
        for kinds, mode in modes:
            for kind in kinds:
                if (id(kind), mode) not in self._adapters:
                    self._adapters[id(kind), mode] = {}
                    wanted.append((kind, mode, TypeAdapter(kind)))
        found, merged = TypeAdapter.json_schemas(
            [(id(kind), mode, adapter) for kind, mode, adapter in wanted], ref_template=REF
        )
        for (kind_id, mode), schema in found.items():
            self._adapters[int(str(kind_id)), mode] = schema
        self.definitions: dict[str, Any] = merged.get("$defs", {})
        self._open_outputs(inputs)

    def of(self, kind: Any, mode: JsonSchemaMode) -> dict[str, Any]:
        """Return the schema (mostly a reference) of a type."""
        return self._adapters[id(kind), mode]

    def _open_outputs(self, inputs: Iterable[Any]) -> None:
        """Let readers of answers ignore what they do not know: we may add fields to them."""
        closed: set[str] = set()
        waiting = [name for kind in inputs for name in _refs(self.of(kind, "validation"))]
        while waiting:
            name = waiting.pop()
            if name not in closed:
                closed.add(name)
                waiting.extend(_refs(self.definitions[name]))
        for name, schema in self.definitions.items():
            if name in closed:
                _without_nul(schema)
            elif schema.get("additionalProperties") is False:
                del schema["additionalProperties"]


def _without_nul(schema: Any) -> None:
    """Say of every text we read what the edge checks: no NUL."""
    if isinstance(schema, list):
        for part in schema:
            _without_nul(part)
    elif isinstance(schema, dict):
        if schema.get("type") == "string" and not schema.keys() & {
            "pattern",
            "format",
            "enum",
            "const",
        }:
            schema["pattern"] = NO_NUL
        for part in schema.values():
            _without_nul(part)


def _refs(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [str(schema["$ref"]).rsplit("/", 1)[1]] if "$ref" in schema else []
        return own + [name for value in schema.values() for name in _refs(value)]
    if isinstance(schema, list):
        return [name for value in schema for name in _refs(value)]
    return []


def _operation(
    operation: Operation, *, schemas: _Schemas, table: Mapping[type[Exception], int]
) -> dict[str, Any]:
    text = (operation.handler.__doc__ or operation.name.replace("_", " ")).strip()
    described: dict[str, Any] = {
        "summary": text.splitlines()[0].rstrip("."),
        "description": "\n".join(line.strip() for line in text.splitlines()),
        "tags": [operation.tag] if operation.tag else [],
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas=schemas, table=table),
        "x-rate-class": operation.limit,
    }
    if operation.roles is not None:
        described["security"] = [{"bearer": []}]
        described["x-roles"] = sorted(operation.roles)
    if operation.body_type is not None:
        schema = schemas.of(operation.body_type, "validation")
        described["requestBody"] = {
            "required": operation.body_required,
            "content": {"application/json": {"schema": schema}},
        }
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": _inline(adapter)}
        for name, adapter in operation.path_adapters.items()
    ]
    if operation.query_type is not None:
        found += _query_parameters(operation.query_type)
    if operation.idempotency != "none":
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": operation.idempotency == "required",
                "description": "Your name for this wish; sent again it is answered, not done.",
                "schema": {"type": "string", "pattern": KEY_PATTERN},
            }
        )
    return found


def _query_parameters(kind: type[BaseModel]) -> list[dict[str, Any]]:
    found = []
    for name, field in kind.model_fields.items():
        schema = _inline(TypeAdapter(field.rebuild_annotation()))
        # A query cannot say null: an optional parameter is simply absent.
        options = [part for part in schema.get("anyOf", []) if part.get("type") != "null"]
        if "anyOf" in schema and len(options) == 1:
            schema = {**{k: v for k, v in schema.items() if k != "anyOf"}, **options[0]}
        if not field.is_required() and isinstance(field.default, str | int | bool):
            schema["default"] = field.default
        parameter: dict[str, Any] = {
            "name": field.alias or name,
            "in": "query",
            "required": field.is_required(),
            "schema": schema,
        }
        if field.description:
            parameter["description"] = field.description
        if get_origin(field.annotation) is list:
            parameter |= {"style": "form", "explode": True}
        found.append(parameter)
    return found


def _inline(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    schema = adapter.json_schema()
    definitions = schema.pop("$defs", {})

    def resolve(part: Any) -> Any:
        if isinstance(part, dict):
            if "$ref" in part:
                return resolve(definitions[str(part["$ref"]).rsplit("/", 1)[1]])
            return {name: resolve(value) for name, value in part.items()}
        return [resolve(value) for value in part] if isinstance(part, list) else part

    resolved: dict[str, Any] = resolve(schema)
    _without_nul(resolved)
    if resolved.get("type") == "integer":
        # What our columns can hold, when the type does not say less.
        resolved.setdefault("minimum", -(2**63))
        resolved.setdefault("maximum", 2**63 - 1)
    return resolved


def _responses(
    operation: Operation, *, schemas: _Schemas, table: Mapping[type[Exception], int]
) -> dict[str, Any]:
    responses = {str(operation.status): _success(operation, operation.result_type, schemas)}
    for status, kind in operation.replies.items():
        responses[str(status)] = _success(operation, kind, schemas)
    for status, errors in sorted(_errors(operation, table).items()):
        responses[str(status)] = _refusal(status, errors)
    return responses


def _success(operation: Operation, kind: Any, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": "Done.",
        "headers": {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}},
    }
    if kind is not None:
        schema = schemas.of(kind, "serialization")
        described["content"] = {"application/json": {"schema": schema}}
    del operation
    return described


def _errors(
    operation: Operation, table: Mapping[type[Exception], int]
) -> dict[int, list[type[Exception]]]:
    """Collect what can go wrong: by the edge, by declaration."""
    edge: list[type[problems.Problem]] = [
        problems.RateLimited,
        problems.ServiceUnavailable,
        problems.Internal,
    ]
    if operation.roles is not None:
        edge += [problems.Unauthenticated, problems.Forbidden]
    if operation.path_types:
        edge += [problems.InvalidPath]
    if operation.body_type is not None:
        edge += [
            problems.InvalidJson,
            problems.BodyTimeout,
            problems.BodyTooLarge,
            problems.UnsupportedMediaType,
            problems.InvalidBody,
        ]
    if operation.query_type is not None:
        edge += [problems.InvalidQuery]
    if operation.idempotency != "none":
        edge += [problems.InvalidHeader]
    if operation.path_types or operation.body_type or operation.query_type:
        edge += [problems.InvalidValue]
    found: dict[int, list[type[Exception]]] = {}
    for kind in edge:
        found.setdefault(kind.status, []).append(kind)
    if operation.roles is not None:
        found[401] += [kind for kind, status in EDGE_STATUSES.items() if status == 401]
    for declared in operation.raises:
        found.setdefault(status_of(declared, table), []).append(declared)
    return found


def status_of(error: type[Exception], table: Mapping[type[Exception], int]) -> int:
    """Return the status of an error class; a declared error without one is a mistake of ours."""
    if issubclass(error, problems.Problem):
        return error.status
    for kind in error.__mro__:
        if kind in table:
            return table[kind]
    raise TypeError(f"{error.__name__} is raised by a route but has no status")


def _refusal(status: int, errors: Sequence[type[Exception]]) -> dict[str, Any]:
    by_code = {problems.code_of(kind): problems.summary_of(kind) for kind in reversed(errors)}
    headers = {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}}
    if status in (429, 503):
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    if status == http.HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WWW-Authenticate"}
    narrowed = {"properties": {"code": {"enum": sorted(by_code)}, "status": {"const": status}}}
    return {
        "description": " · ".join(f"`{code}` {text}" for code, text in sorted(by_code.items())),
        "headers": headers,
        "content": {
            problems.PROBLEM_JSON: {
                "schema": {"allOf": [{"$ref": REF.format(model="ProblemView")}, narrowed]}
            }
        },
    }


_HEADERS = {
    "X-Request-ID": {
        "description": "The id of this request in our logs; yours, if you sent one.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "WWW-Authenticate": {"required": True, "schema": {"type": "string"}},
}
