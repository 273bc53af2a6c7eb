"""What a service promises, as files: OpenAPI 3.1, AsyncAPI 3 and one example of every event.

The producer's classes forbid unknown fields, so that a typo dies at construction; the exported
schemas allow them, so that a reader of today survives a field of tomorrow.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel, TypeAdapter

from common.bus import Event, Heard
from common.example import example_of
from common.sockets.frames import (
    AuthMessage,
    AuthRefreshedFrame,
    ErrorFrame,
    Frame,
    Frames,
    RestartFrame,
    TokenExpiringFrame,
)
from common.web.openapi import VERSION, describe
from common.web.routes import Routes

__all__ = [
    "CommandContract",
    "Contract",
    "describe_messages",
    "example_of",
    "export",
    "open_schema",
]

REF: Final = "#/components/schemas/{model}"
HUB_FRAMES: Final[tuple[type[Frame], ...]] = (
    ErrorFrame,
    TokenExpiringFrame,
    AuthRefreshedFrame,
    RestartFrame,
)


@dataclass(frozen=True, slots=True)
class CommandContract:
    """A command that the service answers."""

    subject: str
    body: type[BaseModel]
    reply: type[BaseModel]


@dataclass(frozen=True, slots=True)
class Contract:
    """Everything that others may rely on.

    `heard` maps subjects to the narrow models that read them.
    """

    service: str
    title: str
    routes: Sequence[Routes] = ()
    statuses: Mapping[type[Exception], int] = field(default_factory=dict)
    events: Sequence[type[Event]] = ()
    heard: Mapping[str, type[Heard]] = field(default_factory=dict)
    commands: Sequence[CommandContract] = ()
    socket_path: str | None = None
    frames_in: Frames | None = None
    frames_out: Sequence[type[Frame]] = ()


def export(contract: Contract, folder: Path) -> list[Path]:
    """Write the files of a contract; returns them. What is no longer promised is removed."""
    written = [_write(folder / "asyncapi.json", describe_messages(contract))]
    operations = [operation for group in contract.routes for operation in group]
    if operations:
        document = describe(title=contract.title, operations=operations, statuses=contract.statuses)
        written.append(_write(folder / "openapi.json", document))
    for subject, model in _examples(contract):
        path = folder / "examples" / f"{subject}.json"
        written.append(_write(path, example_of(model).model_dump(mode="json")))
    for old in (folder / "examples").glob("*.json"):
        if old not in written:
            old.unlink()
    return written


def _examples(contract: Contract) -> Iterable[tuple[str, type[BaseModel]]]:
    for event in contract.events:
        yield event.subject, event
    for command in contract.commands:
        yield command.subject, command.body
        yield f"{command.subject}.reply", command.reply


def _write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    path.write_bytes(orjson.dumps(document, option=options))
    return path


# --- AsyncAPI ------------------------------------------------------------------------------


def describe_messages(contract: Contract) -> dict[str, Any]:
    """Build the AsyncAPI 3 document of a contract."""
    paper = _Paper()
    for event in contract.events:
        paper.add(event.subject, "send", {event.__name__: event}, server="nats")
    for subject, heard in contract.heard.items():
        paper.add(subject, "receive", {heard.__name__: heard}, server="nats")
    for command in contract.commands:
        paper.add_command(command)
    if contract.socket_path is not None:
        paper.add_socket(contract)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": contract.title, "version": VERSION},
        "defaultContentType": "application/json",
        "servers": {
            "nats": {"host": "nats:4222", "protocol": "nats"},
            "gateway": {"host": "gateway", "protocol": "wss"},
        },
        "channels": paper.channels,
        "operations": paper.operations,
        "components": {"messages": paper.messages, "schemas": paper.schemas},
    }


class _Paper:
    """Collects channels, operations and schemas."""

    def __init__(self) -> None:
        self.channels: dict[str, Any] = {}
        self.operations: dict[str, Any] = {}
        self.messages: dict[str, Any] = {}
        self.schemas: dict[str, Any] = {}

    def add(
        self, address: str, action: str, models: Mapping[str, type[BaseModel]], *, server: str
    ) -> None:
        """Add one channel with its messages in one direction."""
        for name, model in models.items():
            self._message(name, self._schema(model), summary=_first_line(model))
        self._channel(_key(address), address, list(models), server=server)
        self._operation(f"{action}_{_key(address)}", action, _key(address), list(models))

    def add_command(self, command: CommandContract) -> None:
        """Add a command and its answer."""
        self.add(command.subject, "receive", {command.body.__name__: command.body}, server="nats")
        key, reply = _key(command.subject), command.reply.__name__
        self._message(reply, self._schema(command.reply), summary=_first_line(command.reply))
        self._channel(f"{key}_reply", None, [reply], server="nats")
        self.operations[f"receive_{key}"]["reply"] = {
            "channel": {"$ref": f"#/channels/{key}_reply"},
            "messages": [{"$ref": f"#/channels/{key}_reply/messages/{reply}"}],
        }

    def add_socket(self, contract: Contract) -> None:
        """Add the socket: what clients send, what they are sent."""
        outgoing: list[str] = []
        for frame in (*contract.frames_out, *HUB_FRAMES):
            name = f"{_frame_type(frame)}_out"
            self._message(name, self._schema(frame), summary=_first_line(frame))
            outgoing.append(name)
        self._message("auth_in", self._schema(AuthMessage), summary=_first_line(AuthMessage))
        incoming = ["auth_in"]
        for kind in contract.frames_in or ():
            schema = _incoming_frame(kind.name, self._schema(kind.model))
            self._message(f"{kind.name}_in", schema, summary=_first_line(kind.model))
            incoming.append(f"{kind.name}_in")
        path = str(contract.socket_path)
        self._channel("socket", path, [*incoming, *outgoing], server="gateway")
        self.channels["socket"]["bindings"] = {"ws": {"method": "GET"}}
        self._operation("receive_frames", "receive", "socket", incoming)
        self._operation("send_frames", "send", "socket", outgoing)

    def _message(self, name: str, schema: dict[str, Any], *, summary: str) -> None:
        self.messages[name] = {"name": name, "summary": summary, "payload": schema}

    def _schema(self, model: type[BaseModel]) -> dict[str, Any]:
        schema = TypeAdapter(model).json_schema(ref_template=REF)
        definitions = schema.pop("$defs", {})
        for name, definition in (*definitions.items(), (model.__name__, schema)):
            opened = open_schema(definition)
            if self.schemas.setdefault(name, opened) != opened:
                raise ValueError(f"two different models are called {name}")
        return {"$ref": REF.format(model=model.__name__)}

    def _channel(self, key: str, address: str | None, messages: list[str], *, server: str) -> None:
        self.channels[key] = {
            "address": address,
            "servers": [{"$ref": f"#/servers/{server}"}],
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        }

    def _operation(self, name: str, action: str, channel: str, messages: list[str]) -> None:
        self.operations[name] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [{"$ref": f"#/channels/{channel}/messages/{item}"} for item in messages],
        }


def open_schema(schema: Any) -> Any:
    """Return the schema without `additionalProperties: false`, at any depth."""
    if isinstance(schema, dict):
        return {
            key: open_schema(value)
            for key, value in schema.items()
            if not (key == "additionalProperties" and value is False)
        }
    return [open_schema(value) for value in schema] if isinstance(schema, list) else schema


def _incoming_frame(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {"const": kind},
            "id": {"type": ["string", "null"], "maxLength": 64},
            "data": data,
        },
    }


def _frame_type(frame: type[Frame]) -> str:
    kind = frame.model_fields["type"].default
    if not isinstance(kind, str):
        raise TypeError(f"{frame.__name__}: `type` needs a literal and its default")
    return kind


def _key(address: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", address).strip("_")


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or model.__name__).strip().splitlines()[0]
