"""The AsyncAPI description of a service's topics, made by FastStream from the event classes."""

from collections.abc import Sequence
from typing import Any

from payment_schemas.events.base import Event

_SETS = ("channels", "operations", "messages", "schemas")


def asyncapi_document(
    title: str, reads: Sequence[type[Event]], emits: Sequence[type[Event]]
) -> dict[str, Any]:
    """Return an AsyncAPI 3.0 document; no broker is connected.

    Each channel's tag is the kind of its message: command, event or reply.
    """
    # Imported here, because FastStream costs half a second and 20 MiB.
    from faststream.kafka import KafkaBroker  # noqa: PLC0415
    from faststream.specification import AsyncAPI  # noqa: PLC0415

    broker = KafkaBroker("kafka:9092")
    for event in reads:
        broker.subscriber(event.topic, title=f"{event.__name__} read", description=event.__doc__)(
            _reader_of(event)
        )
    for event in emits:
        broker.publisher(
            event.topic, title=f"{event.__name__} emitted", schema=event, description=event.__doc__
        )
    document: dict[str, Any] = (
        AsyncAPI(broker, title=title, version="1.0").to_specification().to_jsonable()
    )
    for event in (*reads, *emits):
        for name in (f"{event.__name__} read", f"{event.__name__} emitted"):
            document["channels"].get(name, {})["tags"] = [{"name": event.kind}]
    # FastStream keeps its publishers in a set; sorted, so that each run writes the same file.
    for part in (document, document["components"]):
        part |= {name: dict(sorted(part[name].items())) for name in _SETS if name in part}
    return document


def _reader_of(event: type[Event]) -> Any:
    async def read(message: Any) -> None:
        """Placeholder; the runtime's own loop reads the records."""

    read.__annotations__["message"] = event
    return read
