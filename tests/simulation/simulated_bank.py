"""A partner bank on Kafka: reads signed instructions, books them once, and reports.

Reports are lost, late, repeated and out of order. Somebody else forges reports under its name.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from simulated_outside import BankLedger
from simulated_services import BANK_KEY, KAFKA_BANK, SIGNING_KEYS

from partner_messages.errors import BadSignature, Malformed
from partner_messages.formats import format_of
from partner_messages.keys import Keys, SigningKey
from partner_messages.messages import Instruction, Report, Status
from partner_messages.records import Attributes, signed_headers, verified
from payment_schemas.ids import Uetr
from payment_schemas.money import Money
from service_runtime.messages import ProducerRecord, Record
from settlement.domain import Kind
from testkit.simulation.broker import SimulatedProducer
from testkit.simulation.life import Life, Story
from testkit.simulation.processes import Quiet, Simulation

FOREIGN_KEY = replace(SigningKey.of_seed("x", bytes([13]) * 32), kid=BANK_KEY.kid)
LATE_S = 20.0
FORGED_FIRST_S = 0.01
_FORMAT = format_of("json")


@dataclass(frozen=True)
class Arrived:
    """A transfer as the bank's ledger takes it."""

    uetr: Uetr
    transaction_id: str
    debtor_account: str
    creditor_account: str
    money: Money


class KafkaBank:
    """The bank, durable and always up; its records take the broker's faults."""

    def __init__(self, simulation: Simulation, book: BankLedger) -> None:
        self._simulation = simulation
        self._book = book
        self._silenced: set[UUID] = set()
        """Transfers to silent payees whose first reports were lost."""
        self.forged: set[UUID] = set()
        """The ids of forged reports."""
        self.problems: list[str] = []
        self._content: dict[UUID, tuple[UUID, bytes]] = {}
        life = Life("kafka-bank", 0, Story(simulation.loop, Quiet()), lambda _life, _crash: None)
        self._producer = SimulatedProducer(simulation.broker, life)
        ours = SIGNING_KEYS.current
        self._keys = Keys.of([SigningKey.of_seed(ours.id, ours.material).public()])
        simulation.broker.watches[KAFKA_BANK.instructions_topic].append(self._read)

    def _read(self, record: Record) -> None:
        now = self._simulation.clock.now()
        try:
            sent = verified(record.topic, record.headers, record.value, self._keys, now)
            message = _FORMAT.decode_instruction(record.value or b"")
        except (BadSignature, Malformed) as error:
            self.problems.append(f"an instruction cannot be read: {error}")
            return
        known = self._content.setdefault(message.uetr, (sent.id, record.value or b""))
        if known != (sent.id, record.value):
            self.problems.append(f"{message.uetr}: published again as another message")
        self._book.enter(_arrived(message))
        self._report(message)

    def _report(self, message: Instruction) -> None:
        """Report now and, where the bank decides later, again."""
        faults, uetr = self._simulation.faults, message.uetr
        if "forged" in message.creditor.account or faults.has(faults.rates.outside):
            self._send(self._forged(message), FORGED_FIRST_S)
        if "silent" in message.creditor.account and uetr not in self._silenced:
            self._silenced.add(uetr)
            return
        if faults.has(faults.rates.outside):
            return
        report = self._present(message)
        for _ in range(1 + faults.has(faults.rates.duplicate)):
            late_s = LATE_S * faults.chance.random() if faults.has(faults.rates.late) else 0.0
            self._send(report, faults.hop_s() + late_s)
        if report_is_pending(report):
            later_s = self._book.late_until[Uetr(uetr)] - self._simulation.loop.time()
            self._simulation.loop.call_later(later_s + 0.1, self._report_outcome, message)

    def _report_outcome(self, message: Instruction) -> None:
        self._send(self._present(message), self._simulation.faults.hop_s())

    def _present(self, message: Instruction) -> ProducerRecord:
        response = self._book.status_of(_arrived(message))
        rejected = response.kind is Kind.REJECTED
        report = Report(
            uetr=message.uetr,
            status=Status(response.kind.value),
            reason="AC04" if rejected else None,
        )
        return self._record(report, BANK_KEY)

    def _forged(self, message: Instruction) -> ProducerRecord:
        """Return the opposite of the outcome, under a key that is not the bank's."""
        is_rejected = "rejected" in message.creditor.account
        report = (
            Report(uetr=message.uetr, status=Status.ACCEPTED)
            if is_rejected
            else Report(uetr=message.uetr, status=Status.REJECTED, reason="AC04")
        )
        return self._record(report, FOREIGN_KEY)

    def _record(self, report: Report, key: SigningKey) -> ProducerRecord:
        clock, topic = self._simulation.clock, KAFKA_BANK.reports_topic
        event_id, value = clock.new_id(), _FORMAT.encode_report(report)
        if key is FOREIGN_KEY:
            self.forged.add(event_id)
        attributes = Attributes(event_id, Report.ce_type, "/partners/kafka-bank", clock.now())
        headers = signed_headers(topic, value, attributes, _FORMAT.content_type, key)
        return ProducerRecord(topic, str(report.uetr).encode(), value, headers)

    def _send(self, record: ProducerRecord, after_s: float) -> None:
        loop = self._simulation.loop
        send: Callable[[], object] = lambda: loop.create_task(self._producer.send(record))  # noqa: E731
        loop.call_later(after_s, send)


def report_is_pending(record: ProducerRecord) -> bool:
    """Say whether another report follows."""
    return _FORMAT.decode_report(record.value or b"").status is Status.PENDING


def _arrived(message: Instruction) -> Arrived:
    return Arrived(
        Uetr(message.uetr),
        message.end_to_end_id,
        message.debtor.account,
        message.creditor.account,
        message.money,
    )
