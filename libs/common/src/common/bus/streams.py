"""The durable streams, one per telling service, created by whoever comes first."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from common import baseline

SOURCE = Path(__file__).parent.parent / "streams.json"
_NAME_IN_USE = 10058


@dataclass(frozen=True)
class Stream:
    """What streams.json says about one stream."""

    name: str
    subjects: tuple[str, ...]
    max_bytes: int
    replicas: int

    def config(self) -> StreamConfig:
        """Return what the server is asked to create."""
        return StreamConfig(
            name=self.name,
            subjects=list(self.subjects),
            storage=StorageType(baseline.STREAM_STORAGE),
            discard=DiscardPolicy(baseline.STREAM_DISCARD),
            max_age=baseline.STREAM_MAX_AGE.total_seconds(),
            duplicate_window=baseline.STREAM_DUPLICATE_WINDOW.total_seconds(),
            max_bytes=self.max_bytes,
            num_replicas=self.replicas,
        )


@cache
def streams() -> dict[str, Stream]:
    """Return every stream by name."""
    source = json.loads(SOURCE.read_text(encoding="utf-8"))
    replicas = int(source["every_stream"]["num_replicas"])
    return {
        entry["name"]: Stream(
            entry["name"], tuple(entry["subjects"]), int(entry["max_bytes"]), replicas
        )
        for entry in source["streams"]
    }


async def ensure_stream(js: JetStreamContext, name: str) -> None:
    """Create the stream, or bring what we decide about an existing one up to date.

    Its size and replicas belong to the operator once it exists.
    """
    wanted = streams()[name].config()
    try:
        present = (await js.stream_info(name)).config
    except NotFoundError:
        try:
            await js.add_stream(wanted)
        except BadRequestError as error:
            if error.err_code != _NAME_IN_USE:
                raise
        return
    if _decided(present) != _decided(wanted):
        await js.update_stream(
            present.evolve(
                subjects=wanted.subjects,
                discard=wanted.discard,
                max_age=wanted.max_age,
                duplicate_window=wanted.duplicate_window,
            )
        )


def _decided(config: StreamConfig) -> tuple[object, ...]:
    return (
        sorted(config.subjects or []),
        str(config.discard),
        config.max_age,
        config.duplicate_window,
    )


def stream_of(subject: str) -> str:
    """Return the name of the stream that holds events of this subject."""
    return subject.split(".", 2)[1].upper()
