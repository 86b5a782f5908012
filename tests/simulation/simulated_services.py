"""The services, wired as in their `app`, on simulated ports and the stores' memory twins."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from simulated_encryption import opening
from simulated_outside import BankLine, ContactsLine, LookUpLine, MessengerLine, Outside

from audit.domain import AUDITED
from audit.handlers import on_events, read_record
from audit.store import MemoryAuditLog
from confirm import handlers as confirm
from confirm.app import new_uetr
from confirm.domain.payment import Policy
from confirm.store import UNFINISHED, MemoryPayments
from notification import handlers as notification
from notification import store as deliveries
from notification.domain import Policy as DeliveryPolicy
from otp.clients import LookUp
from otp.domain import Limits
from otp.handlers import Codes, Rules, on_challenge_requested, on_verification_requested
from otp.store import MemoryChallenges
from partner_messages.keys import Keys, SigningKey
from payment_schemas.currencies import USD_RATES
from payment_schemas.events.confirmation import (
    ConfirmRequested,
    PaymentConfirmed,
    PaymentDeclined,
    ReviewOpened,
)
from payment_schemas.events.otp import (
    Challenged,
    ChallengeRefused,
    ChallengeRequested,
    CodesLockChanged,
    VerificationRequested,
    Verified,
)
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from risk import handlers as risk
from risk.app import FIRST_RETRY_S, LATEST_RETRY_S
from risk.clients import LookUps
from risk.domain import AmountBand, Levels, Points
from risk.domain import Policy as RiskPolicy
from risk.settings import AMOUNT_POINTS
from risk.store import MemoryAssessments
from risk.store.port import TABLE as ASSESSMENT
from service_runtime.backoff import delay_s
from service_runtime.clock import Clock
from service_runtime.consumer import Handler
from service_runtime.keys import KeyRing
from service_runtime.sealing import Sealer
from service_runtime.work import Work
from settlement import handlers as settlement
from settlement.domain import BATCH_ROWS, NextStep
from settlement.domain import Policy as SettlementPolicy
from settlement.domain.partners import KafkaPartner
from settlement.store import TABLE, MemoryInstructions
from testkit.memory import MemoryWorkTable
from testkit.simulation.broker import PARTITIONS
from testkit.simulation.processes import Parts, Program

# Shorter than in production, so that runs are short; the results do not depend on the values.
STATE_TIMEOUT = timedelta(seconds=60)
CODE_LIFE = timedelta(seconds=60)
POLICY = Policy(state_timeout=STATE_TIMEOUT, challenge_again_after=timedelta(seconds=5))
LIMITS = Limits(live=1, an_hour=4, a_day=5, wrong_in_a_row=16)
"""Limits of a user that a run reaches."""
RULES = Rules(CODE_LIFE, attempts=5, limits=LIMITS)
OTP_KEY, NOTIFICATION_KEY, CODE_KEY = (bytes([n]) * 32 for n in (1, 2, 3))
PARTNERS = {"north-": "north-bank"}
OTHERWISE = "first-bank"
PROFILES = {
    # Windows are longer than the maximum delay of a timed-out message.
    "first-bank": SettlementPolicy(first_s=1.0, most_s=8.0, in_flight_s=15.0),
    "north-bank": SettlementPolicy(first_s=1.0, most_s=8.0, is_idempotent=False, in_flight_s=15.0),
}
SIGNING_KEYS = KeyRing(bytes([11]) * 32)
BANK_KEY = SigningKey.of_seed("bank", bytes([12]) * 32)
KAFKA_BANK = KafkaPartner(
    partner="kafka-bank",
    format="json",
    partitions=PARTITIONS,
    account_prefixes=("kafka-",),
    answer_within_s=2,
    enquire_after_s=5,
    keys=Keys.of([BANK_KEY.public()]).jwks(),
)
LEVELS = Levels(40, 70, 95)
KYC_POINTS = {"pending": 30, "expired": 20}


def programs(outside: Outside, instances: dict[str, int]) -> list[Program]:
    """Return all services except the gateway, which has no state."""
    built = {
        "confirm": (CONFIRM_READS, build_confirm),
        "risk": ((PaymentConfirmed, AssessmentRequested), partial(build_risk, outside=outside)),
        "otp": ((ChallengeRequested, VerificationRequested), partial(build_otp, outside=outside)),
        "settlement": (
            (SettlementRequested, KAFKA_BANK.reports_topic),
            partial(build_settlement, outside=outside),
        ),
        "notification": (NOTIFICATION_READS, partial(build_notification, outside=outside)),
        "audit": (AUDITED, build_audit),
    }
    return [
        Program(name, [_topic_of(read) for read in reads], build, instances.get(name, 1))
        for name, (reads, build) in built.items()
    ]


def _topic_of(read) -> str:
    return read if isinstance(read, str) else read.topic


CONFIRM_READS = (
    *(SettlementUpdated, Verified, Challenged, ChallengeRefused, ReviewOpened),
    *(RiskAssessed, ConfirmRequested),
)
MAILED = (PaymentConfirmed, PaymentDeclined, SettlementUpdated, CodesLockChanged)
NOTIFICATION_READS = (Verified, Challenged, *MAILED)


def build_confirm(parts: Parts):
    by_event = {
        SettlementUpdated: confirm.on_settlement_updated,
        Verified: partial(confirm.on_verified, policy=POLICY),
        Challenged: partial(confirm.on_challenged, policy=POLICY),
        ChallengeRefused: confirm.on_challenge_refused,
        ReviewOpened: confirm.on_review_opened,
        RiskAssessed: partial(confirm.on_risk_assessed, policy=POLICY),
        ConfirmRequested: partial(
            confirm.on_confirm_requested, policy=POLICY, draw_uetr=partial(new_uetr, parts.clock)
        ),
    }
    handlers = [Handler(event, by_event[event], MemoryPayments) for event in CONFIRM_READS]
    handlers[-1] = replace(handlers[-1], gather=opening(Sealer(OTP_KEY)).gather)
    deadlines = Work(MemoryWorkTable(UNFINISHED), confirm.on_due_payments, MemoryPayments)
    return parts.loops(handlers, [parts.worker(deadlines)])


def risk_policy() -> RiskPolicy:
    amounts = [AmountBand(usd * 100, points) for usd, points in AMOUNT_POINTS.items()]
    points = Points(amounts=amounts, new_payee=40, new_country=15, velocity=10, kyc=KYC_POINTS)
    return RiskPolicy(USD_RATES, points, LEVELS, 5, timedelta(seconds=600))


def build_risk(parts: Parts, outside: Outside):
    line = LookUpLine(outside, parts, Sealer(OTP_KEY))
    look_ups = LookUps(line, line, line, payers=line, takes_names=True)
    policy = risk_policy()
    later = partial(delay_s, clock=parts.clock, first_s=FIRST_RETRY_S, most_s=LATEST_RETRY_S)
    assessor = risk.Assessor(policy, later)
    handlers = [
        Handler(PaymentConfirmed, risk.on_payment_confirmed, MemoryAssessments),
        Handler(
            AssessmentRequested,
            partial(risk.on_assessment_requested, assessor=assessor),
            MemoryAssessments,
            look_ups.for_requests,
        ),
    ]
    due = Work(
        MemoryWorkTable(ASSESSMENT),
        partial(risk.on_due_assessments, assessor=assessor),
        MemoryAssessments,
        gather=look_ups.for_due,
    )
    return parts.loops(handlers, [parts.worker(due)])


def build_otp(parts: Parts, outside: Outside):
    codes = Codes(KeyRing(CODE_KEY), parts.clock)
    issue = partial(
        on_challenge_requested, codes=codes, rules=RULES, notification=Sealer(NOTIFICATION_KEY)
    )
    verify = partial(on_verification_requested, codes=codes, rules=RULES, gateway=Sealer(OTP_KEY))
    handlers = [
        Handler(
            ChallengeRequested,
            issue,
            MemoryChallenges,
            LookUp(ContactsLine(outside, parts)),
            inbox=True,
        ),
        Handler(VerificationRequested, verify, MemoryChallenges),
    ]
    return parts.loops(handlers)


def build_settlement(parts: Parts, outside: Outside):
    workers = {
        step: [
            parts.worker(
                _settling(name, step, BankLine(book, parts.life, parts.faults), parts.clock)
            )
            for name, book in outside.banks.items()
            if name in PROFILES
        ]
        for step in (NextStep.SEND, NextStep.ENQUIRE)
    }
    senders = dict(zip(PROFILES, workers[NextStep.SEND], strict=True))
    routing = settlement.Routing(PARTNERS, OTHERWISE, senders)
    outlet = settlement.Outlet(SIGNING_KEYS)
    handlers = [
        Handler(
            SettlementRequested,
            partial(settlement.on_settlement_requested, routing=routing, outlet=outlet),
            MemoryInstructions,
            after_commit=[sender.wake for sender in workers[NextStep.SEND]],
        ),
        Handler(
            None,
            settlement.on_bank_reports,
            MemoryInstructions,
            pattern=settlement.REPORT_TOPICS,
        ),
    ]
    publications = Work(
        MemoryWorkTable(TABLE, {"next_step": NextStep.PUBLISH.value}),
        partial(settlement.on_due_publications, outlet=outlet),
        MemoryInstructions,
        checks_epochs=True,
    )
    publisher = parts.worker(publications)
    everybody = [*workers[NextStep.SEND], *workers[NextStep.ENQUIRE], publisher]
    return parts.loops(handlers, everybody)


def _settling(partner: str, step: NextStep, bank: BankLine, clock: Clock) -> Work:
    policy = PROFILES[partner]
    send = settlement.send if policy.is_idempotent else settlement.send_once
    ask = {NextStep.SEND: send, NextStep.ENQUIRE: settlement.enquire}[step]
    only = {"partner": partner, "next_step": step.value}
    return Work(
        table=MemoryWorkTable(TABLE, only),
        handle=partial(settlement.on_due_instructions, policy=policy),
        store=MemoryInstructions,
        begin=settlement.on_due_instructions_claimed,
        gather=partial(ask, bank=bank, clock=clock),
        slice_rows=BATCH_ROWS,
        checks_epochs=True,
        takes_over=step is NextStep.SEND and policy.is_idempotent,
    )


def build_notification(parts: Parts, outside: Outside):
    messenger = MessengerLine(outside, parts)
    texts = parts.worker(_delivering(parts, "sms", messenger))
    mails = parts.worker(_delivering(parts, "email", messenger))
    store = deliveries.MemoryDeliveries
    handlers = [
        Handler(Verified, notification.on_verified, store),
        Handler(Challenged, notification.on_challenged, store, after_commit=[texts.wake]),
    ]
    handlers += [
        Handler(event, notification.on_outcome, store, after_commit=[mails.wake])
        for event in MAILED
    ]
    return parts.loops(handlers, [texts, mails])


def _delivering(parts: Parts, channel: str, messenger: MessengerLine) -> Work:
    async def look(due):
        async with parts.database.transaction() as tx:
            return await notification.surroundings_of(due, deliveries.MemoryDeliveries(tx))

    return Work(
        table=MemoryWorkTable(deliveries.TABLE, {"channel": channel}),
        handle=partial(
            notification.on_due_deliveries, policy=DeliveryPolicy(first_s=1.0, most_s=5.0)
        ),
        store=deliveries.MemoryDeliveries,
        gather=notification.Sender(messenger, look, Sealer(NOTIFICATION_KEY)),
        slice_rows=8,
    )


def build_audit(parts: Parts):
    first, *others = AUDITED
    return parts.loops([Handler(first, on_events, MemoryAuditLog, also=others, read=read_record)])
