"""The trust between processes as a picture: who holds which key, and who writes to whom.

It follows from the manifests and the messages, so it cannot differ from what the broker grants.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from local_stack.inventory import CORE, Inventory
from local_stack.topics import Topic
from payment_schemas.events.base import Event

_SECRET = re.compile(r"\{secret:([a-z-]+)\}")
_RING = re.compile(r"mac-|partner-signing|audit-signing|code-|.*-sealing-key")
"""Secrets that protect messages. Logins are not in the picture: each process has its own."""
_RECORDER = "audit"
"""It reads nearly every topic, acts on none, and has no key."""
_BEGIN = """\
```mermaid
%%{init: {"flowchart": {"nodeSpacing": 70, "rankSpacing": 110, "wrappingWidth": 320}}}%%
flowchart LR
    customer([customer]) -->|"access token; one-time code"| gateway
    bank([partner bank on Kafka]) -->|"reports, signed by the bank"| settlement
    settlement -->|"instructions, signed"| bank
    operators([two operators]) -->|"HTTP: a token each"| every[each service]
    every -.->|"facts"| audit"""
_END = """\
    classDef keys fill:#fff8e1,stroke:#f9a825,color:#111111
```"""


def trust_picture(
    inventory: Inventory, topics: Iterable[Topic], events: Iterable[type[Event]]
) -> list[str]:
    """Return the lines of the picture, in Mermaid's language."""
    ours = sorted(inventory.ours, key=lambda one: one.name)
    held = {one.name: set(_rings(inventory, one.name)) for one in ours}
    rings = {
        one.name: held[one.name]
        for one in ours
        if one.group == CORE or any(ring.startswith("mac-") for ring in held[one.name])
    }
    boxes = [
        f'    {name}["{name}<br/>{"<br/>".join(sorted(its))}"]:::keys'
        for name, its in rings.items()
        if its
    ]
    acting = {event.topic: event.acting_readers for event in events}
    return [*_BEGIN.splitlines(), *boxes, *_arrows(topics, acting, rings), *_END.splitlines()]


def _rings(inventory: Inventory, name: str) -> Iterator[str]:
    for template in inventory.service(name).environment.values():
        yield from (secret for secret in _SECRET.findall(template) if _RING.match(secret))


def _arrows(
    topics: Iterable[Topic], acting: Mapping[str, Sequence[str]], rings: Mapping[str, set[str]]
) -> Iterator[str]:
    """Yield an arrow for each writer and reader; a thick one where a MAC is demanded."""
    found: defaultdict[tuple[str, str, bool], list[str]] = defaultdict(list)
    for topic in topics:
        for reader in topic.readers:
            if reader in {_RECORDER, topic.owner}:
                continue
            if topic.owner in rings and reader in rings:
                is_acting = reader in acting.get(topic.name, ())
                found[topic.owner, reader, is_acting].append(topic.name.removesuffix(".v1"))
    for (writer, reader, is_acting), names in sorted(found.items()):
        line = "==>" if is_acting else "-.->"
        yield f'    {writer} {line}|"{"<br/>".join(names)}"| {reader}'
