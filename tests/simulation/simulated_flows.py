"""The flows of one payment, with a crash or a zombie at each labelled point."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from shlex import quote

from simulated_services import STATE_TIMEOUT
from simulated_world import Plan, random_plan, run

from testkit.simulation.life import Freeze, Incident, Place, Planned

ZOMBIE_S = 25.0
"""Longer than any lease, session and outbox claim."""
BACKLOG_S = 1.5 * STATE_TIMEOUT.total_seconds()
"""Longer than any deadline."""

FLOWS: dict[str, Plan] = {
    "low risk": Plan(1, [("plain", "payee-0", "20.00", 0.0)]),
    "code": Plan(2, [("plain", "payee-0", "5200.00", 0.0)]),
    "wrong code": Plan(3, [("mistaken", "payee-0", "5200.00", 0.0)]),
    "declined": Plan(4, [("plain", "payee-sanctioned-0", "20.00", 0.0)]),
    "unknown, settled": Plan(5, [("plain", "payee-silent-0", "20.00", 0.0)]),
    "unknown, rejected": Plan(6, [("plain", "payee-silent-rejected-0", "20.00", 0.0)]),
    "lost, sent again": Plan(7, [("plain", "payee-lost-0", "20.00", 0.0)]),
    "unknown, sent once": Plan(8, [("plain", "north-payee-silent-0", "20.00", 0.0)]),
    "lost, resolved by people": Plan(9, [("plain", "north-payee-lost-0", "20.00", 0.0)]),
    "refused, resolved by people": Plan(10, [("plain", "payee-refused-0", "20.00", 0.0)]),
    "garbled, resolved by people": Plan(11, [("plain", "payee-garbled-0", "20.00", 0.0)]),
    "by Kafka, forged reports": Plan(12, [("plain", "kafka-payee-forged-0", "20.00", 0.0)]),
    "by Kafka, published again": Plan(13, [("plain", "kafka-payee-silent-0", "20.00", 0.0)]),
    "by Kafka, suspended": Plan(
        14, [("plain", "kafka-payee-rejected-0", "20.00", 0.5)], suspended=[(0.0, 5.0)]
    ),
}


@dataclass
class Stillness:
    """A process pauses at one point, longer than its lease."""

    place: Place
    seconds: float = ZOMBIE_S

    def at(self, place: Place) -> Incident | None:
        return Freeze(self.seconds) if place == self.place else None


def places_of(flow: str, service: str | None = None) -> list[Place]:
    """Return the points of a flow without faults."""
    found = run(FLOWS[flow]).places
    return [place for place in found if service in (None, place.service)]


def crashes_of(flow: str) -> Iterator[tuple[str, Plan]]:
    """Yield the flow with a crash at each of its points."""
    for place in places_of(flow):
        yield f"{flow} {place}", replace(FLOWS[flow], incidents=Planned(frozenset({place})))


def pairs_of(flow: str, service: str) -> Iterator[tuple[str, Plan]]:
    """Yield the flow with two crashes of one service, at each pair of its points."""
    for pair in combinations(places_of(flow, service), 2):
        name = " and ".join(map(str, pair))
        yield f"{flow} {name}", replace(FLOWS[flow], incidents=Planned(frozenset(pair)))


def zombies_of(flow: str, service: str, seconds: float = ZOMBIE_S) -> Iterator[tuple[str, Plan]]:
    """Yield the flow with two instances of a service, one of which pauses at each point."""
    plan = replace(FLOWS[flow], instances={service: 2})
    for place in run(plan).places:
        if place.service == service:
            yield f"{flow} still at {place}", replace(plan, incidents=Stillness(place, seconds))


def backlogs_of(flow: str, service: str) -> Iterator[tuple[str, Plan]]:
    """Yield the flow with a service that pauses at each point for longer than any deadline."""
    for place in places_of(flow, service):
        plan = replace(FLOWS[flow], incidents=Stillness(place, BACKLOG_S))
        yield f"{flow} backlog at {place}", plan


IN_DOUBT = ("unknown, settled", "unknown, rejected")
ZOMBIES = (
    *[
        (flow, name)
        for flow in IN_DOUBT
        for name in ("settlement", "confirm", "notification", "risk")
    ],
    *[(flow, "settlement") for flow in list(FLOWS)[6:]],
    ("wrong code", "otp"),
)


BACKLOGS = [
    *[("low risk", name) for name in ("confirm", "risk")],
    *[("code", name) for name in ("confirm", "risk", "otp")],
]


def directed() -> Iterator[tuple[str, Plan]]:
    """Yield every flow with crashes, pairs of crashes, and zombies."""
    for flow in FLOWS:
        yield from crashes_of(flow)
    for flow in IN_DOUBT:
        yield from pairs_of(flow, "settlement")
    for flow, service in ZOMBIES:
        yield from zombies_of(flow, service)
    for flow, service in BACKLOGS:
        yield from backlogs_of(flow, service)


def named(name: str) -> Plan:
    """Return the plan of a run. Raises KeyError for an unknown name."""
    if name.startswith("seed "):
        return random_plan(int(name.removeprefix("seed ")))
    for known, plan in directed():
        if known == name:
            return plan
    raise KeyError(name)


def replay_of(name: str) -> str:
    """Return the command that repeats a run."""
    if name.startswith("seed "):
        return f"make simulate SEEDS=1 FIRST={name.removeprefix('seed ')}"
    return f"make simulate ONLY={quote(name)}"
