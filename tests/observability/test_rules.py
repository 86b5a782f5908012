"""Prometheus' rules, tested by promtool with generated series: each branch of each alert alone.

The series of recording rules are given directly, so that one branch of a burn rate can be true
while the others are not; the recording rules have their own cases.
"""

import subprocess
from dataclasses import dataclass, field

import numpy as np
import pytest
import yaml

from fraud.domain import monitoring
from fraud.domain.features import COLUMNS, FEATURES
from fraud.settings import SHIPPED
from fraud.store import load_scorers
from fraud.store.scores import MOST_SAMPLED
from local_stack.telemetry.programs import promtool
from observability.alerts import alerts
from observability.fraud_alerts import DRIFTED
from observability.objectives import FAST, OBJECTIVES, SLOW
from observability.rules import GROUPS, RULES_FOLDER
from observability.timing import Timing

pytestmark = pytest.mark.observability

LIVE_MODEL = next(one.card for one in load_scorers(SHIPPED).values() if one.card.is_first)
SCORED_A_MINUTE = 100
SEVERITY = {alert.name: alert.severity for alert in alerts(Timing())}


@dataclass(frozen=True)
class Case:
    """Series by the minute, and the labels of the firing alert."""

    alert: str
    series: dict[str, str]
    fires: list[dict[str, str]] = field(default_factory=lambda: [{}])
    minute: int = 40


def _quiet(alert, series, minute=40):
    return Case(alert, series, [], minute)


def _burns():
    for objective, kind in zip(OBJECTIVES, ("Error", "Latency"), strict=True):
        for burns, speed in ((FAST, "Fast"), (SLOW, "Slow")):
            for burn in burns:
                name = f"Confirm{kind}BudgetBurn{speed}"
                over = f"{1.1 * burn.factor * objective.budget:g}x60"
                under = f"{0.9 * burn.factor * objective.budget:g}x60"
                long, short = objective.record(burn.long), objective.record(burn.short)
                where = f"{name} {burn.long}"
                yield pytest.param(Case(name, {long: over, short: over}), id=f"{where} both")
                yield pytest.param(_quiet(name, {long: over, short: under}), id=f"{where} short")
                yield pytest.param(_quiet(name, {long: under, short: over}), id=f"{where} long")
                yield pytest.param(_quiet(name, {long: over}), id=f"{where} alone")


FAILED = 'payment_confirm_total{status="failed"}'
SUCCESS = 'payment_confirm_total{status="success"}'
SETTLED = 'settlement_total{status="SETTLED"}'
REJECTED = 'settlement_total{status="REJECTED"}'
CODES = "payments:otp_failure_ratio:rate5m"
JUDGED = 'otp_validation_total{result="invalid"}'
QUEUE = '{group="settlement",topic="settlement-queue"}'
LAG, DRAIN = f"kafka:consumer_lag:sum{QUEUE}", f"kafka:consumer_drain_seconds{QUEUE}"
MEMBERS = 'kafka_consumer_group_members{group="settlement"}'
DEAD = 'dead_letter_total{service_name="confirm"}'
REUSED = 'token_refreshes_total{result="reused"}'
GUESSED = 'sign_ins_total{result="refused"}'
SIGNED_IN = 'sign_ins_total{result="accepted"}'
FORGED = (
    'dead_letter_total{service_name="confirm",topic="otp.verified.v1",reason="unauthenticated"}'
)
LATE = 'settlement_unanswered{partner="south-bank"}'
SENT = 'settlement_total{status="SENT",partner="south-bank"}'
QUEUED = 'settlement_queued{partner="south-bank"}'
OF_PARTNER = 'settlement_total{status="SETTLED",partner="south-bank"}'
AGE = 'settlement_statement_age{partner="south-bank"}'
OF_REPORTS = {"topic": "settlement.reports.south-bank.v1"}
BAD_REPORT = f'dead_letter_total{{topic="{OF_REPORTS["topic"]}",reason="signature_forged"}}'
PARTNER = {"partner": "south-bank"}
LETTERS = 'kafka_partition_current_offset{topic="settlement-queue-dlq",partition="0"}'
PENDING = 'outbox_pending{service_name="confirm"}'
READ = 'consumer_batch_size_sum{service_name="confirm"}'
UP = 'up{job="services",service_name="confirm",instance="confirm:3010"}'
SECOND = 'up{job="services",service_name="confirm",instance="confirm:4010"}'
BREAKER = 'dependency:breaker_state{service_name="settlement",dependency="first_bank"}'
NAMED = {"service_name": "settlement", "dependency": "first_bank"}
SEEN = {"payment_confirm_total": "1x60", "kafka_consumer_group_lag": "0x60"}
CHECKED = {'invariant_violations{kind="I1"}': "0x60"}
GROUP = {"group": "settlement"}
CONFIRM = {"service_name": "confirm"}

CASES = {
    "six failed in five minutes": Case(
        "PaymentsFailing", {FAILED: "0x36 2 4 6 8 10 12 14"}, minute=42
    ),
    "five failed": _quiet("PaymentsFailing", {FAILED: "0x36 1 2 3 4 4"}),
    "others than failed": _quiet("PaymentsFailing", {SUCCESS: "0+60x60"}),
    "most codes refused": Case("CodesFailing", {CODES: "0.6x60", JUDGED: "0+5x60"}),
    "few codes refused": _quiet("CodesFailing", {CODES: "0.4x60", JUDGED: "0+5x60"}),
    "few codes at all": _quiet("CodesFailing", {CODES: "0.9x60", JUDGED: "0+1x60"}),
    "an invariant": Case(
        "InvariantViolated", {'invariant_violations{kind="I3"}': "0x30 1x30"}, [{"kind": "I3"}]
    ),
    "no violation": _quiet("InvariantViolated", {'invariant_violations{kind="I3"}': "0x60"}),
    "the check gets no answer": Case("CheckBlind", {"check_unanswered": "0x10 1x50"}),
    "an owner was restarted": _quiet("CheckBlind", {"check_unanswered": "0x36 1x2 0x22"}),
    "an unfinished payment": Case("PaymentsUnfinished", {"payments_unfinished": "0x30 1x30"}),
    "unfinished for a moment": _quiet("PaymentsUnfinished", {"payments_unfinished": "0x37 1x30"}),
    "a parked row": Case(
        "WorkParked",
        {'work_parked_total{service_name="settlement",table="instruction"}': "0x30 1x30"},
        [{"service_name": "settlement", "table": "instruction"}],
    ),
    "parked long ago": _quiet("WorkParked", {"work_parked_total": "0x10 1x50"}),
    "nothing settles": Case("SettlementBacklog", {SUCCESS: "0+10x60"}),
    "a third settles": Case("SettlementBacklog", {SUCCESS: "0+9x60", SETTLED: "0+3x60"}),
    "settled and rejected": _quiet(
        "SettlementBacklog", {SUCCESS: "0+9x60", SETTLED: "0+3x60", REJECTED: "0+4x60"}
    ),
    "few wait": _quiet("SettlementBacklog", {SUCCESS: "0+1x60"}),
    "a bank on Kafka has them": _quiet(
        "SettlementBacklog", {SUCCESS: "0+10x60", SENT: "0+10x60", LATE: "0+9x60"}
    ),
    "a bank on Kafka has them, and is late": Case(
        "PartnerUnanswered", {SUCCESS: "0+10x60", SENT: "0+10x60", LATE: "0+9x60"}, [PARTNER]
    ),
    "a bank on Kafka is not sent them": Case(
        "SettlementBacklog", {SUCCESS: "0+10x60", SENT: "0+3x60", LATE: "0x60"}
    ),
    "a bank on Kafka hides no other bank": Case(
        "SettlementBacklog",
        {SUCCESS: "0+30x60", SENT: "0+5x60", OF_PARTNER: "0+30x60", LATE: "0x60"},
    ),
    "a bank over HTTP keeps them pending": Case(
        "SettlementBacklog", {SUCCESS: "0+10x60", SENT.replace("south", "north"): "0+10x60"}
    ),
    "they wait for the end of a suspension": _quiet(
        "SettlementBacklog", {SUCCESS: "0+10x60", QUEUED: "0+10x60", LATE: "0x60"}
    ),
    "a breaker is open": Case("DependencyBreakerOpen", {BREAKER: "0x30 2x30"}, [NAMED]),
    "a breaker tries again now and then": Case(
        "DependencyBreakerOpen", {BREAKER: "0x30 2 1 2 1 2 1 2 1 2 1 2 1"}, [NAMED]
    ),
    "a breaker only tries": _quiet("DependencyBreakerOpen", {BREAKER: "0x30 1x30"}),
    "a contradiction": Case(
        "SettlementContradicted",
        {'late_answers_total{partner="first-bank"}': "0x30 1x30"},
        [{"partner": "first-bank"}],
    ),
    "no contradiction": _quiet(
        "SettlementContradicted", {'late_answers_total{partner="first-bank"}': "1x60"}
    ),
    "a partner is late": Case("PartnerUnanswered", {LATE: "0x30 3x30"}, [PARTNER]),
    "a partner was late for a moment": _quiet("PartnerUnanswered", {LATE: "0x37 3x30"}),
    "a partner is silent": Case("PartnerSilent", {LATE: "0x10 3x50"}, [PARTNER]),
    "a late partner reports on others": _quiet(
        "PartnerSilent", {LATE: "0x10 3x50", OF_PARTNER: "0+1x60"}
    ),
    "a forged report": Case(
        "PartnerSignatureRefused", {BAD_REPORT: "0x33 1x30"}, [{**PARTNER, **OF_REPORTS}]
    ),
    "the first report is forged": Case(
        "PartnerSignatureRefused", {BAD_REPORT: "_x38 1x20"}, [{**PARTNER, **OF_REPORTS}]
    ),
    "a forged report long ago": _quiet("PartnerSignatureRefused", {BAD_REPORT: "0x10 1x50"}),
    "a statement is missing": Case(
        "PartnerStatementMissing", {AGE: "118700+60x60"}, [PARTNER], minute=50
    ),
    "the statement of yesterday has come": _quiet("PartnerStatementMissing", {AGE: "108000+60x60"}),
    "a bank refuses everything": Case(
        "BankRefusesUs",
        {'bank_refusals_total{partner="first-bank",status="401"}': "0x30 0+9x30"},
        [{"partner": "first-bank", "status": "401"}],
    ),
    "a bank refuses a transfer": _quiet(
        "BankRefusesUs", {'bank_refusals_total{partner="first-bank",status="422"}': "0+9x60"}
    ),
    "no statement could be read": Case(
        "StatementUnread",
        {'reconciliation_total{partner="first-bank",result="unread"}': "0x20 2x40"},
        [{"partner": "first-bank"}],
    ),
    "one statement could be read": _quiet(
        "StatementUnread",
        {
            'reconciliation_total{partner="first-bank",result="unread"}': "0x20 2x40",
            'reconciliation_total{partner="first-bank",result="matched"}': "0x30 1x30",
        },
    ),
    "a sanctions list is refused": Case(
        "SanctionsListRefused", {"sanctions_lists_refused": "0x20 1x40"}, [{}]
    ),
    "a sanctions list was wrong for a moment": _quiet(
        "SanctionsListRefused", {"sanctions_lists_refused": "0x20 1x3 0x37"}
    ),
    "a language model that is of no use": Case(
        "ExplanationsWithoutModel",
        {
            'explanations_total{source="template",reason="timeout"}': "0+5x60",
            'explanations_total{source="model",reason="none"}': "0+1x60",
        },
    ),
    "a language model that fails now and then, and templates without one": _quiet(
        "ExplanationsWithoutModel",
        {
            'explanations_total{source="template",reason="timeout"}': "0+1x60",
            'explanations_total{source="template",reason="no_model"}': "0+9x60",
            'explanations_total{source="model",reason="none"}': "0+5x60",
        },
    ),
    "the budget of the language model is used up": Case(
        "ModelBudgetSpent", {'explanations_total{source="template",reason="budget"}': "0x30 1x30"}
    ),
    "no language model": _quiet(
        "ModelBudgetSpent", {'explanations_total{source="template",reason="no_model"}': "0+1x60"}
    ),
    "a feature has drifted": Case(
        "FraudModelDrift",
        {'fraud_psi{feature="amount"}': "0.1x10 0.4x50"},
        [{"feature": "amount"}],
    ),
    "a feature that drifted for some minutes": _quiet(
        "FraudModelDrift", {'fraud_psi{feature="amount"}': "0.1x10 0.4x5 0.1x45"}
    ),
    "more frauds than the model expects": Case(
        "FraudModelMiscalibrated", {"fraud_calibration_ratio": "3x60"}
    ),
    "fewer frauds than the model expects": Case(
        "FraudModelMiscalibrated", {"fraud_calibration_ratio": "0.3x60"}
    ),
    "about as many frauds as the model expects": _quiet(
        "FraudModelMiscalibrated", {"fraud_calibration_ratio": "1.3x60"}
    ),
    "payments without a model's score": Case(
        "FraudModelUnavailable",
        {"risk_model_unavailable_total": "0+30x60", "risk_assessment_total": "0+300x60"},
    ),
    "few payments without a model's score": _quiet(
        "FraudModelUnavailable",
        {"risk_model_unavailable_total": "0+3x60", "risk_assessment_total": "0+300x60"},
    ),
    "an unresolved case": Case(
        "ReconciliationBroken",
        {'reconciliation_cases{kind="MISSING_THERE"}': "0x30 2x30"},
        [{"kind": "MISSING_THERE"}],
    ),
    "a case that was resolved": _quiet(
        "ReconciliationBroken", {'reconciliation_cases{kind="MISSING_THERE"}': "2x10 0x50"}
    ),
    "far behind": Case(
        "KafkaConsumerLag",
        {LAG: "2000x60", DRAIN: "90x60"},
        [{**GROUP, "topic": "settlement-queue"}],
    ),
    "much, but quickly read": _quiet("KafkaConsumerLag", {LAG: "2000x60", DRAIN: "5x60"}),
    "slow, but little": _quiet("KafkaConsumerLag", {LAG: "900x60", DRAIN: "90x60"}),
    "no member": Case("KafkaConsumerGroupEmpty", {MEMBERS: "0x60", LAG: "1x60"}, [GROUP]),
    "no member and no lag": _quiet("KafkaConsumerGroupEmpty", {MEMBERS: "0x60", LAG: "0x60"}),
    "somebody reads": _quiet("KafkaConsumerGroupEmpty", {MEMBERS: "1x60", LAG: "1x60"}),
    "a dead letter": Case(
        "DeadLetters", {LETTERS: "7x35 8x25"}, [{"topic": "settlement-queue-dlq"}]
    ),
    "an old dead letter": _quiet("DeadLetters", {LETTERS: "7x10 8x50"}),
    "another topic": _quiet(
        "DeadLetters", {'kafka_partition_current_offset{topic="settlement-queue"}': "0+1x60"}
    ),
    "a reader refuses everything": Case("DeadLetterRate", {DEAD: "0x30 0+10x30"}, [CONFIRM]),
    "a reader refuses some": Case("DeadLetterRate", {DEAD: "0+10x60", READ: "0+900x60"}, [CONFIRM]),
    "one record in a thousand": _quiet("DeadLetterRate", {DEAD: "0+10x60", READ: "0+10000x60"}),
    "a few dead letters": _quiet("DeadLetterRate", {DEAD: "0x30 19x30"}),
    "a forged record": Case(
        "UnauthenticatedRecord", {FORGED: "3x35 4x25"}, [{**CONFIRM, "topic": "otp.verified.v1"}]
    ),
    "the first forged record": Case(
        "UnauthenticatedRecord", {FORGED: "_x35 1x25"}, [{**CONFIRM, "topic": "otp.verified.v1"}]
    ),
    "an old forged record": _quiet("UnauthenticatedRecord", {FORGED: "_x10 1x50"}),
    "a forged reply": Case(
        "UnauthenticatedRecord",
        {FORGED.replace("dead_letter", "record_skipped"): "_x35 1x25"},
        [{**CONFIRM, "topic": "otp.verified.v1"}],
    ),
    "another dead letter": _quiet(
        "UnauthenticatedRecord", {FORGED.replace("unauthenticated", "schema"): "_x35 1x25"}
    ),
    "a refresh token is used again": Case("RefreshTokenReused", {REUSED: "3x35 4x25"}, [{}]),
    "the first token used again": Case("RefreshTokenReused", {REUSED: "_x35 1x25"}, [{}]),
    "an old reuse": _quiet("RefreshTokenReused", {REUSED: "_x10 1x50"}),
    "a refresh": _quiet("RefreshTokenReused", {REUSED.replace("reused", "rotated"): "0+9x60"}),
    "guessed passwords": Case("SignInAttack", {GUESSED: "0+20x60", SIGNED_IN: "0+1x60"}, [{}]),
    "limited sign-ins": Case(
        "SignInAttack", {GUESSED.replace("refused", "limited"): "0+20x60"}, [{}]
    ),
    "some wrong passwords": _quiet("SignInAttack", {GUESSED: "0+2x60"}),
    "many wrong passwords of many people": _quiet(
        "SignInAttack", {GUESSED: "0+20x60", SIGNED_IN: "0+30x60"}
    ),
    "a job fails": Case(
        "JobFailing",
        {'job_runs_total{service_name="confirm",name="retention",result="failed"}': "0x30 1x30"},
        [{**CONFIRM, "name": "retention"}],
    ),
    "a job runs": _quiet(
        "JobFailing", {'job_runs_total{name="retention",result="done"}': "0+1x60"}
    ),
    "webhooks wait": Case("WebhooksBacklog", {"webhook_backlog_age": "0x30 61x30"}),
    "a provider contradicts": Case(
        "ChargeContradicted",
        {'charge_contradictions_total{provider="stripe"}': "0x20 1x40"},
        [{"provider": "stripe"}],
    ),
    "no provider contradicts": _quiet(
        "ChargeContradicted", {'charge_contradictions_total{provider="stripe"}': "3x60"}
    ),
    "charges fail": Case(
        "ChargesFailing",
        {
            'charges_total{status="DECLINED"}': "0+10x60",
            'charges_total{status="CAPTURED"}': "0+2x60",
        },
    ),
    "few charges fail": _quiet("ChargesFailing", {'charges_total{status="FAILED"}': "0+1x60"}),
    "a tenth of the charges fails": _quiet(
        "ChargesFailing",
        {
            'charges_total{status="DECLINED"}': "0+1x60",
            'charges_total{status="CAPTURED"}': "0+9x60",
        },
    ),
    "a charge is disputed": Case(
        "ChargeDisputed",
        {'charge_disputes_total{provider="adyen",status="OPEN"}': "0x20 1x40"},
        [{"provider": "adyen"}],
    ),
    "a dispute is won": _quiet(
        "ChargeDisputed", {'charge_disputes_total{provider="adyen",status="WON"}': "0x20 1x40"}
    ),
    "a vault's key is missing": Case("VaultKeyMissing", {"vault_keys_missing": "0x20 1x40"}),
    "no vault's key is missing": _quiet("VaultKeyMissing", {"vault_keys_missing": "0x60"}),
    "webhooks waited once": _quiet("WebhooksBacklog", {"webhook_backlog_age": "0x35 61 0x30"}),
    "webhooks are given up": Case(
        "WebhooksFailing", {"webhook_deliveries_failed_total": "0x20 150x40"}
    ),
    "an owner's endpoint is down": _quiet(
        "WebhooksFailing", {"webhook_deliveries_failed_total": "0x20 50x40"}
    ),
    "the audit log is not sealed": Case("AuditCheckpointLate", {"audit_checkpoint_age": "0+60x60"}),
    "a checkpoint fails twice": _quiet(
        "AuditCheckpointLate", {"audit_checkpoint_age": "0x30 60 120 180 0x30"}
    ),
    "a full outbox": Case("OutboxBacklog", {PENDING: "0x30 501x30"}, [CONFIRM]),
    "an outbox at its limit": _quiet("OutboxBacklog", {PENDING: "500x60"}),
    "full for a moment": _quiet("OutboxBacklog", {PENDING: "0x39 900 0x20"}),
    "a row that stays in a quiet service": Case(
        "OutboxRowStuck", {PENDING: "1x60", READ: "0+1x60"}, [CONFIRM]
    ),
    "rows of a busy service": _quiet("OutboxRowStuck", {PENDING: "1x60", READ: "0+100x60"}),
    "rows that come and go": _quiet("OutboxRowStuck", {PENDING: "1 0 1 0 1 0x60"}),
    "a broker refuses": Case(
        "BrokerRefuses",
        {'producer_renewed_total{service_name="confirm",error_class="x"}': "0x30 0+1x30"},
        [CONFIRM],
    ),
    "a broker refused once": _quiet("BrokerRefuses", {"producer_renewed_total": "0x30 1x30"}),
    "no instance answers": Case("ServiceDown", {UP: "1x30 0x30", SECOND: "1x30 0x30"}, [CONFIRM]),
    "one instance answers": _quiet("ServiceDown", {UP: "1x30 0x30", SECOND: "1x60"}),
    "an instance is silent": Case(
        "InstanceDown",
        {UP: "1x30 0x30", SECOND: "1x60"},
        [{"job": "services", **CONFIRM, "instance": "confirm:3010"}],
    ),
    "an instance restarts": _quiet("InstanceDown", {UP: "1x38 0 1x30"}),
    "gateways count alone": Case(
        "RateLimiterWithoutRedis", {"rate_limit_local_total": "0x30 0+1x30"}
    ),
    "gateways counted alone once": _quiet(
        "RateLimiterWithoutRedis", {"rate_limit_local_total": "0x10 5x50"}
    ),
    "no collector": Case(
        "CollectorDown",
        {'up{job="otel-collector",instance="c"}': "1x30 0x30"},
        [{"job": "otel-collector", "instance": "c"}],
    ),
    "a collector": _quiet("CollectorDown", {'up{job="otel-collector",instance="c"}': "1x60"}),
    "a metric is missing: payments": Case(
        "MetricsMissing", {"kafka_consumer_group_lag": "0x60", **CHECKED}
    ),
    "a metric is missing: lag": Case(
        "MetricsMissing", {"payment_confirm_total": "1x60", **CHECKED}
    ),
    "a metric is missing: the check": Case("MetricsMissing", SEEN),
    "no metric is missing": _quiet("MetricsMissing", SEEN | CHECKED),
}


def _lost():
    for act in ("send", "enqueue"):
        for what in ("spans", "metric_points", "log_records"):
            name = f"otelcol_exporter_{act}_failed_{what}"
            series = name + '{job="otel-collector",exporter="otlp_http/loki"}'
            fires = [{"exporter": "otlp_http/loki"}]
            yield pytest.param(Case("CollectorDropping", {series: "0+5x60"}, fires), id=name)
            yield pytest.param(_quiet("CollectorDropping", {series: "5x60"}), id=f"{name} before")


@pytest.fixture(scope="session")
def tool():
    return promtool(print)


@pytest.mark.parametrize(
    "case", [*(pytest.param(case, id=name) for name, case in CASES.items()), *_burns(), *_lost()]
)
def test_an_alert_fires_exactly_in_its_cases(case, tool, tmp_path):
    expr = f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}'
    samples = [{"labels": _labelled(case.alert, labels), "value": 1} for labels in case.fires]
    _run(tool, tmp_path, "alerts.rules.yml", case.series, (expr, case.minute, samples))


def _drawn(bins, count, rng):
    """Return numbers that are distributed as in the training: each bin's is at its upper edge."""
    edges = np.array(bins.edges)
    upper = edges.astype(np.float32)
    upper = np.where(upper > edges, np.nextafter(upper, np.float32(-np.inf)), upper)
    shares = np.array(bins.shares)
    return rng.choice(np.append(upper, upper[-1] + 1), count, p=shares / shares.sum())


def _indexes_by_minute(minutes, drifts_from):
    """Return the indexes as fraud measures them, while amounts become twenty times as large."""
    rng, bins = np.random.default_rng(7), LIVE_MODEL.bins
    count = MOST_SAMPLED + SCORED_A_MINUTE * minutes
    features = np.column_stack([_drawn(bins[name], count, rng) for name in FEATURES])
    probabilities = _drawn(bins["probability"], count, rng).astype(np.float32)
    features[MOST_SAMPLED + SCORED_A_MINUTE * drifts_from :, COLUMNS["amount"]] *= 20
    found = []
    for minute in range(minutes):
        seen = slice(minute * SCORED_A_MINUTE, MOST_SAMPLED + minute * SCORED_A_MINUTE)
        found.append(monitoring.drift(bins, features[seen].astype(np.float32), probabilities[seen]))
    return found


def test_a_drifted_stream_raises_the_alert_in_the_runbooks_time(tool, tmp_path):
    """The runbook: 1,500 scores and ten minutes after all amounts have changed, at the latest."""
    assert monitoring.DRIFTED == DRIFTED
    indexes = _indexes_by_minute(minutes=45, drifts_from=15)
    risen = next(at for at, one in enumerate(indexes) if one["amount"] > DRIFTED)
    assert 15 < risen <= 15 + 1_500 / SCORED_A_MINUTE
    series = {
        f'fraud_psi{{feature="{name}"}}': " ".join(f"{one[name]:.4f}" for one in indexes)
        for name in indexes[0]
    }
    expr = 'ALERTS{alertname="FraudModelDrift",alertstate="firing"}'
    fires = [{"labels": _labelled("FraudModelDrift", {"feature": "amount"}), "value": 1}]
    for minute, expected in ((risen + 9, []), (risen + 10, fires)):
        _run(tool, tmp_path, "alerts.rules.yml", series, (expr, minute, expected))


def _labelled(alert, labels):
    whole = {"alertname": alert, "alertstate": "firing", "severity": SEVERITY[alert], **labels}
    return "ALERTS{" + ",".join(f'{name}="{value}"' for name, value in whole.items()) + "}"


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not():
    cases = [*CASES.values(), *(one.values[0] for one in (*_burns(), *_lost()))]
    for expected in (True, False):
        assert {case.alert for case in cases if bool(case.fires) is expected} == set(SEVERITY)


CONFIRMED = 'http_server_request_duration_seconds_count{service_name="gateway",'
PATH = CONFIRMED + 'http_route="/payment/confirm",http_response_status_code='
COUNT = "payment_confirm_duration_seconds_count"
SECONDS = "payment_confirm_duration_seconds_bucket"
RECORDED = [
    pytest.param(
        {f'{PATH}"200"}}': "0+98x60", f'{PATH}"503"}}': "0+2x60"},
        "round(slo:confirm_errors:ratio_rate5m, 0.001)", 0.02, id="two of a hundred fail",
    ),
    pytest.param({f'{PATH}"200"}}': "0+98x60"}, "slo:confirm_errors:ratio_rate1h + 0", 0,
                 id="none fails"),
    pytest.param({f'{PATH}"403"}}': "0+98x60"}, "slo:confirm_errors:ratio_rate5m + 0", 0,
                 id="a refusal is no error"),
    pytest.param(
        {COUNT: "0+100x60", SECONDS + '{le="1.0"}': "0+97x60",
         SECONDS + '{le="120.0"}': "0+100x60"},
        "round(slo:confirm_slow:ratio_rate5m, 0.001)", 0.03, id="three of a hundred are slow",
    ),
    pytest.param(
        {COUNT: "0+100x60", SECONDS + '{le="1"}': "0+99x60",
         SECONDS + '{le="120"}': "0+100x60"},
        "round(slo:confirm_slow:ratio_rate30m, 0.001)", 0.01, id="the bound as OTLP spells it",
    ),
    pytest.param(
        {SECONDS + '{le="1"}': "0+99x60", SECONDS + '{le="2"}': "0+100x60",
         SECONDS + '{le="+Inf"}': "0+100x60"},
        "round(payments:confirm_duration:p99_rate5m, 0.001)", 1, id="p99",
    ),
    pytest.param({FAILED: "0+1x60", SUCCESS: "0+3x60"},
                 "round(payments:confirm_failed_ratio:rate5m, 0.01)", 0.25, id="failed"),
    pytest.param({JUDGED: "0+1x60", 'otp_validation_total{result="valid"}': "0+1x60"},
                 "round(payments:otp_failure_ratio:rate5m, 0.01)", 0.5, id="codes"),
    pytest.param(
        {'kafka_consumer_group_lag{group="g",topic="t",partition="0"}': "5x60",
         'kafka_consumer_group_lag{group="g",topic="t",partition="1"}': "7x60"},
        'sum(kafka:consumer_lag:sum{group="g",topic="t"})', 12, id="lag over partitions",
    ),
    pytest.param(
        {'kafka_consumer_group_lag{group="g",topic="t",partition="0"}': "60x60",
         'kafka_consumer_group_offset{group="g",topic="t",partition="0"}': "0+60x60"},
        "round(sum(kafka:consumer_drain_seconds))", 60, id="time to drain",
    ),
    pytest.param({'breaker_state_first_bank{service_name="settlement"}': "2x60"},
                 'sum(dependency:breaker_state{dependency="first_bank"})', 2, id="breakers"),
]  # fmt: skip


@pytest.mark.parametrize(("series", "expr", "value"), RECORDED)
def test_a_recorded_series_has_the_expected_value(series, expr, value, tool, tmp_path):
    expected = (expr, 40, [{"labels": "{}", "value": value}])
    _run(tool, tmp_path, "recording.rules.yml", series, expected)


def _run(tool, folder, rules, series, expected):
    expr, minute, samples = expected
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expr, "eval_time": f"{minute}m", "exp_samples": samples}],
    }
    document = {
        "rule_files": [str(RULES_FOLDER / rules)],
        "evaluation_interval": "1m",
        "group_eval_order": list(GROUPS),
        "tests": [test],
    }
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump(document))
    done = subprocess.run(
        [tool, "test", "rules", path], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
