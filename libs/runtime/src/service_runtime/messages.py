"""What goes through the runtime: records, what was received, what is due, what is emitted."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol
from uuid import UUID

from typing_extensions import TypeVar

from payment_schemas.cloudevents import Attributes, Headers, headers_of
from payment_schemas.events.base import Event
from payment_schemas.ids import event_id_of
from service_runtime.errors import Rejected

Trace = tuple[tuple[str, str], ...]
"""`traceparent` and `tracestate`, as pairs."""
Partition = tuple[str, int]
"""A topic and the number of one of its partitions."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it lies in a topic."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    is_readable: bool = True
    """Whether the headers are as they came: names that are not UTF-8 are written out in escapes."""

    @property
    def place(self) -> Partition:
        """The partition."""
        return self.topic, self.partition


@dataclass(frozen=True, slots=True)
class ProducerRecord:
    """A record on its way to a topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something happens: the id of an event or of a due row, and its trace."""

    id: UUID
    trace: Trace = ()
    discriminator: str = ""
    """A due row's epoch: two steps of one row never share an event id."""


E = TypeVar("E", bound=Event)
R = TypeVar("R")
T = TypeVar("T", bound="Item")
F = TypeVar("F", default=None)


class Item(Protocol):
    """One thing to be done: a received event or a due row."""

    @property
    def cause(self) -> Cause:
        """Why it is done."""
        ...


@dataclass(frozen=True, slots=True)
class Received(Generic[E]):
    """A valid event and where it came from."""

    event: E
    cause: Cause
    time: datetime
    record: Record


@dataclass(frozen=True, slots=True)
class Due(Generic[R]):
    """A row of a work table whose time has come, leased to this worker."""

    row: R
    cause: Cause
    epoch: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Batch(Generic[T, F]):
    """Items that are handled together, in order, at one time."""

    items: Sequence[T]
    now: datetime
    lookups: Mapping[UUID, F] = field(default_factory=dict)
    """What `gather` found outside, by the id of the item's cause."""

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Emit:
    """An event that a handler returns, and what caused it."""

    event: Event
    cause: Cause

    @property
    def through_outbox(self) -> bool:
        """Whether its record is committed with its cause; a reply is published after it."""
        return self.event.through_outbox

    def outgoing(self, source: str, now: datetime) -> ProducerRecord:
        """Return the record to publish; equal causes make equal ids.

        A cause that comes again and has another effect makes another version, and so another id.
        """
        step = self.cause.discriminator or str(getattr(self.event, "version", ""))
        event_id = event_id_of(self.cause.id, self.event.ce_type, step)
        attributes = Attributes(event_id, now, self.cause.trace)
        return ProducerRecord(
            topic=self.event.topic,
            key=self.event.key.encode(),
            value=self.event.model_dump_json().encode(),
            headers=headers_of(self.event, attributes, source),
            partition=self.event.partition,
        )


@dataclass(frozen=True, slots=True)
class Publication:
    """A record that a handler publishes as it is: a message of a contract with others.

    It gets no MAC of ours, and its headers no attribute.
    """

    record: ProducerRecord

    through_outbox: ClassVar = True

    def outgoing(self, _source: str, _now: datetime) -> ProducerRecord:
        """Return the record."""
        return self.record


Events = Sequence[Emit | Publication]


class Decision(Protocol):
    """What a domain decides: the next state and the events that tell of it."""

    @property
    def state(self) -> Any:
        """The next state; the same object where nothing changes."""
        ...

    @property
    def events(self) -> Sequence[Event]:
        """What happened."""
        ...


@dataclass(slots=True)
class Outcome(Generic[R]):
    """What became of a batch: the states that changed, and the events in order."""

    changed: dict[Hashable, R] = field(default_factory=dict)
    events: list[Emit] = field(default_factory=list)


def fold(
    items: Iterable[T],
    states: Mapping[Any, R],
    key: Callable[[T], Hashable],
    decide: Callable[[R, T], Decision],
) -> Outcome[R]:
    """Decide item after item, each on the state that the one before left.

    Raises Rejected for an item without a state. What a result is about was committed before its
    request went out, so that no result comes too early: one about something unknown is a fault, and
    a dead letter keeps it for people.
    """
    outcome: Outcome[R] = Outcome()
    for item in items:
        name = key(item)
        state = outcome.changed.get(name, states.get(name))
        if state is None:
            raise Rejected(f"about something unknown: {name}")
        decision = decide(state, item)
        if decision.state is not state:
            outcome.changed[name] = decision.state
        outcome.events.extend(Emit(event, item.cause) for event in decision.events)
    return outcome
