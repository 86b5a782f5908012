"""Builders of payments, accounts and events; a test sets only the fields that matter."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from confirm.domain.decision import Decision, final_answer
from confirm.domain.payment import FINAL, Payment, Policy, Status
from confirm.domain.requests import create
from double_entry.rules import Account
from payment_schemas.events.confirmation import ConfirmAnswered, ConfirmRequested, ReviewOpened
from payment_schemas.events.otp import Challenged, ChallengeRefused, Verified
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.events.settlement import SettlementUpdated
from payment_schemas.ids import Uetr
from testkit.events import CHALLENGE, NOON, event_of

POLICY = Policy()
ACCOUNT = Account("acc-1", "usr-456", "USD", 100_000_000)
LATER_REQUEST = UUID("3e0f7a54-6a3c-4d57-8a3e-9a2fd1a5b0ff")
"""A later request than the one that created the payment."""
ENDS = NOON + timedelta(seconds=300)
"""When the code of a built payment expires."""


def first_request(**fields: Any) -> ConfirmRequested:
    """The request that creates tx-987."""
    return event_of(ConfirmRequested, **fields)


def again(code: str | None = None, **fields: Any) -> ConfirmRequested:
    """The first request again in another HTTP request, with the tag of a code if given."""
    return first_request(
        **{"request_id": LATER_REQUEST, "reply_partition": 7, "code_tag": code, **fields}
    )


def uetr(number: int = 1) -> Uetr:
    return Uetr(UUID(int=number, version=4))


def created(**fields: Any) -> Payment:
    """A payment after its first request."""
    return create(first_request(**fields), ACCOUNT, uetr(), POLICY, NOON).state


def payment_in(status: Status, **fields: Any) -> Payment:
    """A payment in a state, with the fields of that state; `fields` replace them."""
    values = {"status": status, "version": 2, "due_at": None, **_of_state(status), **fields}
    payment = replace(created(), **values)
    if status not in FINAL:
        return replace(payment, due_at=fields.get("due_at", NOON + timedelta(minutes=15)))
    answer = final_answer(payment, status, payment.reason)
    return replace(payment, answer_status=answer.status, answer_body=answer.body)


def _of_state(status: Status) -> dict[str, Any]:
    challenged = {
        "risk_score": 85,
        "risk_level": "high",
        "challenge_number": 1,
        "challenge_id": CHALLENGE,
        "challenged_at": NOON,
        "challenge_ends_at": ENDS,
    }
    match status:
        case Status.AWAITING_RISK:
            return {"version": 1}
        case Status.CHALLENGING:
            return {"risk_score": 85, "risk_level": "high", "challenge_number": 1}
        case Status.AWAITING_CODE:
            return challenged
        case Status.VERIFYING:
            return {**challenged, "tag_under_test": "tag-1"}
        case Status.CONFIRMED:
            return {"risk_score": 10, "risk_level": "low", "settlement_status": "PENDING"}
        case Status.DECLINED:
            return {"reason": "not_permitted"}


def _about(payment: Payment) -> dict[str, Any]:
    return {
        "payment_id": payment.id,
        "user_id": payment.user_id,
        "transaction_id": payment.transaction_id,
    }


def assessed(payment: Payment, score: int = 10, **fields: Any) -> RiskAssessed:
    level = (
        "low" if score < 40 else "medium" if score < 70 else "high" if score < 95 else "critical"
    )
    return event_of(RiskAssessed, **_about(payment), **{"score": score, "level": level, **fields})


def challenged(payment: Payment, **fields: Any) -> Challenged:
    ends_at = payment.updated_at + (ENDS - NOON)
    issued = {"challenge_number": payment.challenge_number, "code_expires_at": ends_at, **fields}
    return event_of(Challenged, **_about(payment), **issued)


def refused(payment: Payment, reason: str = "too_many", **fields: Any) -> ChallengeRefused:
    """The refusal of the code that the payment waits for."""
    wait = {"retry_after_s": 60 if reason == "too_many" else None}
    request = {"version": payment.version, "challenge_number": payment.challenge_number}
    return event_of(
        ChallengeRefused, **_about(payment), **{"reason": reason, **request, **wait, **fields}
    )


def verified(payment: Payment, result: str = "valid", **fields: Any) -> Verified:
    """The result of the code that the payment waits for."""
    judged = {"request_id": payment.request_id, "result": result, "challenge_over": False, **fields}
    return event_of(Verified, **_about(payment), **judged)


def settled(payment: Payment, status: str = "SETTLED", version: int = 2) -> SettlementUpdated:
    update = {"status": status, "version": version, "uetr": payment.uetr}
    return event_of(SettlementUpdated, **_about(payment), **update)


def reviewed(payment: Payment, *, by_list: bool = True) -> ReviewOpened:
    """A review of a payment: a hit of a changed list, or a risk of its assessment."""
    hit = {"party": "creditor", "hit": True, "list_version": "2", "match_score": 91}
    return event_of(ReviewOpened, **_about(payment), screening=hit if by_list else None)


def answer_in(decision: Decision) -> ConfirmAnswered | None:
    """The reply among a decision's events; more than one is a fault."""
    answers = [event for event in decision.events if isinstance(event, ConfirmAnswered)]
    assert len(answers) <= 1, answers
    return answers[0] if answers else None


def kinds(decision: Decision) -> list[str]:
    """The names of a decision's events, without replies."""
    return [type(e).__name__ for e in decision.events if not isinstance(e, ConfirmAnswered)]


INVALID_OTP = '{"error":"Invalid OTP","details":"Code does not match or expired"}'
CODES_LOCKED = '{"error":"Codes locked","details":"Too many wrong codes"}'
UNDELIVERABLE = (
    '{"status":"OTP_UNDELIVERABLE","message":"No verified contact for a one-time code."}'
)
TOO_MANY = '{"error":"Too many requests"}'
SUCCESS = (
    '{"status":"SUCCESS","transaction_id":"tx-987","reference":"0000000001",'
    '"settlement_method":"ACH"}'
)


def otp_required(seconds: int) -> str:
    message = "Please verify your identity with a one-time code."
    return f'{{"status":"OTP_REQUIRED","message":"{message}","expires_in":{seconds}}}'


def declined(reason: str) -> str:
    return f'{{"status":"DECLINED","transaction_id":"tx-987","reason":"{reason}"}}'
