"""A whole system in one process: services, external services and clients; runs and is checked."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from simulated_bank import KafkaBank
from simulated_clients import SCRIPTS, Client, Edge, Order
from simulated_desk import Desk
from simulated_invariants import violations_of
from simulated_outside import BankLedger, Outside
from simulated_records import refusals_of
from simulated_services import CODE_LIFE, KAFKA_BANK, PROFILES, STATE_TIMEOUT, programs
from simulated_watcher import Violation, Watcher

from confirm.domain.opening import Opening
from double_entry.rules import internal_account
from notification.domain import Contact
from payment_schemas.sealed import Personal
from service_runtime.ports import Lease
from settlement.store.partners import PARTNERS
from testkit.simulation.chance import QUIET_DAY, Rates, scaled
from testkit.simulation.life import Incidents, Place
from testkit.simulation.loop import StuckError
from testkit.simulation.processes import Simulation, simulated_runtime

BALANCES_MINOR = {"0": 30_000_00, "1": 14_000_00}
"""By the number of user and account: the second account runs out of money."""
FULL = Rates(
    crash=0.004,
    freeze=0.002,
    database=0.02,
    duplicate=0.05,
    late_ack=0.03,
    late=0.03,
    outside=0.25,
    reassignment=0.03,
)
FAULTS_S = 40.0
READERS = ("confirm", "risk", "otp", "settlement", "notification", "audit")
PEOPLE_AFTER_S = 40.0
"""People resolve a case once no message can arrive at the bank."""
REST_WITHIN_S = 2 * (STATE_TIMEOUT + CODE_LIFE).total_seconds() + 240
"""Time after the last fault: twice the longest deadline, plus enquiries."""
POISONED = ("payment.confirm-requested.v1", "settlement-queue", "otp.verified.v1")
PAYEES = (
    *("payee", "payee-late", "payee-silent", "payee-lost", "payee-rejected", "payee-sanctioned"),
    *("payee-refused", "payee-garbled"),
    *("north-payee", "north-payee-late", "north-payee-silent", "north-payee-lost"),
    *("kafka-payee", "kafka-payee-late", "kafka-payee-silent", "kafka-payee-rejected"),
    *("kafka-payee-forged", "kafka-payee-forged-rejected"),
)
AMOUNTS = ("20.00", "20.00", "5200.00", "5200.00", "12000.00")


@dataclass(frozen=True)
class Plan:
    """The plan of a run."""

    seed: int
    orders: Sequence[tuple[str, str, str, float]]
    """Script, payee, amount, and start in seconds."""
    rates: Rates = QUIET_DAY
    incidents: Incidents | None = None
    instances: dict[str, int] = field(default_factory=dict)
    poison: Sequence[str] = ()
    broker_down_s: Sequence[float] = ()
    is_replayed: bool = False
    """Whether every topic is replayed at the end, without offsets and inboxes."""
    suspended: Sequence[tuple[float, float]] = ()
    """From and until when, in seconds, the partner on Kafka is suspended."""
    rewound: Sequence[tuple[str, float]] = ()
    """Services that stop in the middle and read all their topics again, with the second."""


@dataclass
class Result:
    """The result of a run."""

    seed: int
    digest: str
    violations: list[Violation]
    places: list[Place]
    seen: frozenset[str]
    """The events that occurred, so that a test can require them."""


def random_plan(seed: int) -> Plan:
    """Return the plan of a seed."""
    chance = Random(f"plan {seed}")  # noqa: S311 - reproducible
    orders = [
        (
            chance.choice(list(SCRIPTS)),
            f"{chance.choice(PAYEES)}-{number}",
            chance.choice(AMOUNTS),
            chance.random() * 8,
        )
        for number in range(chance.randint(1, 5))
    ]
    return Plan(
        seed,
        orders,
        scaled(FULL, chance),
        instances={name: 2 for name in ("settlement", "confirm", "otp") if chance.random() < 0.4},
        poison=[topic for topic in POISONED if chance.random() < 0.15],
        broker_down_s=[chance.random() * 30] if chance.random() < 0.2 else (),
        is_replayed=True,
        suspended=[(chance.random() * 8, 15.0)] if chance.random() < 0.2 else (),
        rewound=[(name, chance.random() * 30) for name in READERS if chance.random() < 0.1],
    )


class World:
    """One run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.simulation = Simulation(plan.seed, plan.incidents, plan.rates)
        loop = self.simulation.loop
        self.outside = Outside(
            {
                name: BankLedger(loop, not profile.is_idempotent)
                for name, profile in PROFILES.items()
            },
            plan.seed,
        )
        self.outside.banks[KAFKA_BANK.partner] = BankLedger(loop)
        self.kafka_bank = KafkaBank(self.simulation, self.outside.banks[KAFKA_BANK.partner])
        self.watcher = Watcher(self.simulation.clock.now)
        self.problems: list[Violation] = []
        for program in programs(self.outside, plan.instances):
            storage = self.simulation.add(program)
            if program.name in ("confirm", "settlement"):
                storage.watches.append(getattr(self.watcher, f"see_{program.name}"))
        self.desk = Desk(self.simulation, self.outside)
        self.edge = Edge(self.simulation, self.outside)
        self._fill()

    def _fill(self) -> None:
        """Create accounts, contacts and the sanctions list."""
        partners = self.simulation.storages["settlement"].tables.own[PARTNERS]
        partners[KAFKA_BANK.partner] = KAFKA_BANK
        own = self.simulation.storages["confirm"].tables.own
        contacts = self.simulation.storages["notification"].tables.own["contact"]
        for number, balance_minor in BALANCES_MINOR.items():
            name, user = f"acc-{number}", f"usr-{number}"
            opening = Opening(name, user, balance_minor, "USD")
            (account,) = opening.accounts()
            (transfer,) = opening.transfers([account])
            own["account"][name] = replace(account, balance_minor=balance_minor)
            own["transfer"][transfer.source_id, transfer.kind] = transfer
            contacts[user] = Contact(user, Personal(f"+1555010{number}"), Personal(f"{user}@x.y"))
        equity = internal_account(transfer.debit_account, "USD")
        opened_minor = sum(BALANCES_MINOR.values())
        own["account"][equity.id] = replace(equity, balance_minor=-opened_minor)
        self.outside.sanctions.listed |= {
            payee for _, payee, _, _ in self.plan.orders if "sanctioned" in payee
        }

    async def live(self) -> None:
        """Start everything, run the clients among faults, heal, and wait for all work to end."""
        simulation, plan = self.simulation, self.plan
        simulation.start()
        clients = [simulation.loop.create_task(self._client(n)) for n in range(len(plan.orders))]
        for topic in plan.poison:
            await self.edge.poison(topic)
        for at_s in plan.broker_down_s:
            simulation.loop.call_later(at_s, self._stop_broker)
        for at_s, until_s in plan.suspended:
            simulation.loop.create_task(self.desk.suspend(KAFKA_BANK, at_s, until_s))
        for name, at_s in plan.rewound:
            simulation.loop.call_later(at_s, simulation.replay, name)
        if plan.rates != QUIET_DAY:
            await asyncio.sleep(FAULTS_S)
            simulation.heal()
        await asyncio.gather(*clients)
        await self._rest()
        if plan.is_replayed:
            await self._replay()

    async def _replay(self) -> None:
        """Replay all topics without offsets and inboxes. Records changes."""
        before = self.effects()
        self.simulation.story.note("replay")
        for name in READERS:
            self.simulation.replay(name)
        await self._rest()
        for name, effect in self.effects().items():
            if effect != before[name]:
                self.problems.append(Violation("I6", f"a replay has changed {name}"))

    def effects(self) -> dict[str, object]:
        """Return the effects that must not be repeated."""
        storages = self.simulation.storages
        confirm, settlement = (storages[name].tables.own for name in ("confirm", "settlement"))
        return {
            "payments": dict(confirm["payment"]),
            "transfers": dict(confirm["transfer"]),
            "instructions": dict(settlement["instruction"]),
            "challenges": dict(storages["otp"].tables.own["challenge"]),
            "users": dict(storages["otp"].tables.own["code_user"]),
            "movements": [list(book.movements) for book in self.outside.banks.values()],
            "messages": set(self.outside.messenger.kept),
            "audit": set(storages["audit"].tables.own["audit_log"]),
        }

    def seen(self) -> frozenset[str]:
        """Return the events that occurred."""
        payments = self.simulation.storages["confirm"].tables.own["payment"].values()
        found = {payment.reason or payment.status.value for payment in payments}
        found |= {f"settlement {payment.settlement_status}" for payment in payments}
        found |= {f"refused {one.reason}" for one in refusals_of(self)}
        instructions = self.simulation.storages["settlement"].tables.own["instruction"].values()
        by_kafka = [one for one in instructions if one.partner == KAFKA_BANK.partner]
        found |= {f"Kafka {one.status}" for one in by_kafka}
        found |= {"forged report"} if self.kafka_bank.forged else set()
        found |= {"name screened"} if self.outside.screened_names else set()
        parties = {(payment.id, payment.from_account) for payment in payments}
        found |= {"name listed"} if self.outside.listed_names - parties else set()
        found |= {"payer listed"} if self.outside.listed_names & parties else set()
        found |= {"payer unnamed"} if self.outside.unnamed else set()
        found |= {str(answer.status) for one in self.edge.log.values() for answer in one.answers}
        return frozenset(found | self.watcher.seen | self.simulation.story.met)

    def _stop_broker(self) -> None:
        if self.simulation.faults.rates != QUIET_DAY:
            self.simulation.broker.down_until_s = self.simulation.loop.time() + 8.0

    async def _client(self, number: int) -> None:
        name, payee, amount, start_s = self.plan.orders[number]
        await asyncio.sleep(start_s)
        owner = number % len(BALANCES_MINOR)
        order = Order(
            f"usr-{owner}", f"acc-{owner}", f"tx-{number}", f"key-{number}", payee, amount
        )
        await SCRIPTS[name](Client(self.edge, order))

    async def _rest(self) -> None:
        """Wait until all work has ended. Records work that does not end."""
        began_s = self.simulation.loop.time()
        while self.simulation.loop.time() < began_s + REST_WITHIN_S:
            if self.simulation.is_quiet and not self.due():
                return
            await asyncio.sleep(1.0)
            if self.simulation.loop.time() > began_s + PEOPLE_AFTER_S:
                await self.desk.resolve_all()
        self.problems += [Violation("I8", f"{name} is never finished") for name in self.due()]
        if not self.due():
            self.problems.append(Violation("I8", "records or outboxes never come to rest"))

    def due(self) -> list[str]:
        """Return the due rows of the work tables."""
        found = []
        for service, storage in self.simulation.storages.items():
            for table, leases in storage.tables.own.items():
                if table.endswith("/lease"):
                    found += [
                        f"{service} {table} {name}"
                        for name, lease in leases.items()
                        if _waits(lease)
                    ]
        return found


def _waits(lease: Lease) -> bool:
    return lease.due_at is not None and lease.parked is None


def run(plan: Plan) -> Result:
    """Run a plan to its end and check the invariants."""
    with simulated_runtime():
        world = World(plan)
        try:
            world.simulation.loop.run(world.live())
        except StuckError as error:
            world.problems.append(Violation("I8", f"stuck: {error}"))
    return Result(
        plan.seed,
        world.simulation.story.digest,
        [*world.problems, *violations_of(world)],
        world.simulation.story.places,
        world.seen(),
    )


def run_seed(seed: int) -> Result:
    """Run the plan of a seed."""
    return run(random_plan(seed))
