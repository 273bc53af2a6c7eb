"""An example of any model: the same on every machine and every day, and valid."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, TypeAdapter

M = TypeVar("M", bound=BaseModel)

MOMENT: Final = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def example_of(model: type[M]) -> M:
    """Return an example that is the same on every machine and every day, and valid.

    A field with a pattern needs `examples=[…]`; the first one is taken.
    """
    schema = TypeAdapter(model).json_schema()
    value = _example(schema, schema.get("$defs", {}), name=model.__name__)
    return model.model_validate_json(orjson.dumps(value))


def _example(schema: Mapping[str, Any], definitions: Mapping[str, Any], *, name: str) -> Any:
    if "$ref" in schema:
        target = definitions[str(schema["$ref"]).rsplit("/", 1)[1]]
        return _example(target, definitions, name=name)
    for key in ("const", "examples", "enum"):
        if key in schema:
            return schema[key] if key == "const" else schema[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            options = [option for option in schema[key] if option.get("type") != "null"]
            return _example(options[0], definitions, name=name) if options else None
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        return _object(schema, definitions, name=name)
    if kind == "array":
        count = max(1, int(schema.get("minItems", 1)))
        items = schema.get("prefixItems") or [schema.get("items", {})] * count
        return [_example(item, definitions, name=f"{name}{i}") for i, item in enumerate(items)]
    scalar = _SCALARS.get(str(kind))
    return scalar(schema, name) if scalar else None


def _object(schema: Mapping[str, Any], definitions: Mapping[str, Any], *, name: str) -> Any:
    properties = schema.get("properties")
    if properties:
        return {key: _example(part, definitions, name=key) for key, part in properties.items()}
    values = schema.get("additionalProperties")
    if not isinstance(values, dict):
        return {}
    return {_text({"format": "uuid"}, name): _example(values, definitions, name=name)}


def _text(schema: Mapping[str, Any], name: str) -> str:
    digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    formats: dict[str, Callable[[], str]] = {
        "uuid": lambda: str(UUID(bytes=digest, version=4)),
        "date-time": lambda: _moment(digest[0]),
        "date": lambda: MOMENT.date().isoformat(),
        "email": lambda: "someone@example.org",
        "uri": lambda: f"https://example.org/{name}",
        "duration": lambda: "PT60S",
    }
    if schema.get("format") in formats:
        return formats[schema["format"]]()
    shortest, longest = int(schema.get("minLength", 0)), int(schema.get("maxLength", 200))
    return name.ljust(shortest, "x")[:longest]


def _moment(offset: int) -> str:
    return (MOMENT + timedelta(seconds=offset)).isoformat().replace("+00:00", "Z")


def _number(schema: Mapping[str, Any], _name: str) -> Any:
    if "exclusiveMinimum" in schema:
        return schema["exclusiveMinimum"] + 1
    return schema.get("minimum", min(1, schema.get("maximum", 1)))


_SCALARS: Final[Mapping[str, Callable[[Mapping[str, Any], str], Any]]] = {
    "string": _text,
    "integer": _number,
    "number": _number,
    "boolean": lambda _schema, _name: True,
}
