"""Routes are declared beside their handlers, whose annotations say what is read and sent."""

import inspect
import re
import types
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

from common.web.context import Context, IdempotencyKey, Reply

RouteHandler = Callable[..., Awaitable[object]]
H = TypeVar("H", bound=RouteHandler)
RateClass = Literal["read", "write", "sensitive"]

_PARAMETER = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path: what it needs, what it answers and what can go wrong."""

    method: str
    path: str
    handler: RouteHandler
    roles: frozenset[str] | None
    raises: tuple[type[Exception], ...]
    status: int
    limit: RateClass
    tag: str
    replies: Mapping[int, Any]
    context_name: str | None
    path_types: Mapping[str, Any]
    path_adapters: Mapping[str, TypeAdapter[Any]]
    body_type: Any
    body_adapter: TypeAdapter[Any] | None
    body_required: bool
    query_type: Any
    idempotency: Literal["none", "optional", "required"]
    result_type: Any
    hot: bool = False

    @property
    def name(self) -> str:
        """Return the handler's name, the operation id of the API description."""
        return self.handler.__name__


class Routes:
    """A group of routes of one service."""

    def __init__(self, *, tag: str = "") -> None:
        self._tag = tag
        self._operations: list[Operation] = []

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations)

    def get(self, path: str, **options: Any) -> Callable[[H], H]:
        """Declare a GET route; options as in `route`."""
        return self.route("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[H], H]:
        """Declare a POST route; options as in `route`."""
        return self.route("POST", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[H], H]:
        """Declare a PATCH route; options as in `route`."""
        return self.route("PATCH", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[H], H]:
        """Declare a PUT route; options as in `route`."""
        return self.route("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[H], H]:
        """Declare a DELETE route; options as in `route`."""
        return self.route("DELETE", path, **options)

    def route(
        self,
        method: str,
        path: str,
        *,
        roles: set[str] | None = None,
        raises: tuple[type[Exception], ...] = (),
        status: int | None = None,
        limit: RateClass | None = None,
        tag: str = "",
        replies: Mapping[int, Any] | None = None,
        hot: bool = False,
    ) -> Callable[[H], H]:
        """Declare a route.

        `roles` None makes it public. `raises` are the errors it documents. `replies` names models
        of answers with another status. Status defaults to 204 for None and 200 else, the rate
        class to "read" for GET and "write" else. `hot` is for the one that is called all the time:
        see `common.web.hot`.
        """

        def declare(handler: H) -> H:
            self._operations.append(
                _operation(
                    handler,
                    method=method,
                    path=path,
                    roles=None if roles is None else frozenset(roles),
                    raises=raises,
                    status=status,
                    limit=limit or ("read" if method == "GET" else "write"),
                    tag=tag or self._tag,
                    replies=replies or {},
                    hot=hot,
                )
            )
            return handler

        return declare


def _operation(handler: RouteHandler, *, path: str, status: int | None, **given: Any) -> Operation:
    hints = get_type_hints(handler, include_extras=True)
    parameters = inspect.signature(handler).parameters
    in_path = _PARAMETER.findall(path)
    known = {"body", "query", "idempotency_key", *in_path}
    contexts = [name for name in parameters if hints.get(name) is Context]
    unknown = [name for name in parameters if name not in known and name not in contexts]
    missing = [name for name in in_path if name not in parameters]
    if unknown or missing or len(contexts) > 1:
        raise TypeError(f"{handler.__name__}{path}: cannot bind {unknown + missing + contexts[1:]}")
    path_types = {name: hints[name] for name in in_path}
    result_type = _result_type(hints.get("return"))
    if given["hot"] and (in_path or given["roles"] is None or known & set(parameters)):
        raise TypeError(f"{handler.__name__}{path}: a hot route takes a caller and nothing else")
    if given["hot"] and (status or 200) != 200:
        raise TypeError(f"{handler.__name__}{path}: a hot route answers 200")
    return Operation(
        handler=handler,
        path=path,
        status=status if status is not None else (204 if result_type is None else 200),
        context_name=contexts[0] if contexts else None,
        path_types=path_types,
        path_adapters={name: TypeAdapter(kind) for name, kind in path_types.items()},
        body_type=_without_none(hints["body"]) if "body" in parameters else None,
        body_adapter=TypeAdapter(_without_none(hints["body"])) if "body" in parameters else None,
        body_required=(
            "body" in parameters and parameters["body"].default is inspect.Parameter.empty
        ),
        query_type=hints.get("query") if "query" in parameters else None,
        idempotency=_idempotency(hints.get("idempotency_key")),
        result_type=result_type,
        **given,
    )


def _idempotency(hint: Any) -> Literal["none", "optional", "required"]:
    if hint is None:
        return "none"
    if hint is IdempotencyKey:
        return "required"
    if IdempotencyKey in _members(hint):
        return "optional"
    raise TypeError(f"idempotency_key must be an IdempotencyKey, not {hint}")


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _without_none(hint: Any) -> Any:
    kept = [member for member in _members(hint) if member is not type(None)]
    return kept[0] if len(kept) == 1 else hint


def _result_type(hint: Any) -> Any:
    """Find the model behind `Model`, `Reply[Model]`, `Model | Reply[Model]` or None."""
    models = []
    for member in _members(hint):
        kind = get_args(member)[0] if get_origin(member) is Reply else member
        # Bytes are a model that its handler has rendered.
        if kind in (None, type(None), Reply, bytes) or isinstance(kind, TypeVar):
            continue
        if kind not in models:
            models.append(kind)
    if not models:
        return None
    return models[0] if len(models) == 1 else Union[tuple(models)]  # noqa: UP007  # built at run time
