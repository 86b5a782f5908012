"""Decisions on client requests: create a payment, change a stored one, or only reply."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil
from typing import assert_never

from confirm.domain.decision import Decision, final_answer
from confirm.domain.events import about, reply
from confirm.domain.payment import Payment, Policy, Status
from confirm.domain.steps import challenge, decline, with_request
from double_entry.rules import Account
from payment_schemas import answers
from payment_schemas.answers import Answer
from payment_schemas.events.confirmation import ConfirmRequested, PaymentDeclined
from payment_schemas.events.otp import VerificationRequested
from payment_schemas.events.risk import AssessmentRequested
from payment_schemas.ids import Uetr, payment_id_of
from payment_schemas.money import DEFAULT_CURRENCY, minor_units

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U, so that a reference can be read out over the telephone."""
REFERENCE_CHARACTERS = 10


def reference_of(uetr: Uetr) -> str:
    """Return the payment's reference: the UETR's last 50 bits, all random, in Crockford's base 32.

    The database refuses a reference that another payment has; the retry draws another UETR.
    """
    shifts = range(5 * (REFERENCE_CHARACTERS - 1), -1, -5)
    return "".join(CROCKFORD[uetr.int >> shift & 31] for shift in shifts)


def is_expired(request: ConfirmRequested, now: datetime) -> bool:
    """Return whether a command has expired; an expired command must have no effect."""
    return request.expires_at is not None and request.expires_at <= now


def refusal(request: ConfirmRequested, account: Account, policy: Policy) -> Answer | None:
    """Return the refusal of a request that cannot create a payment, or None."""
    for name in ("amount", "from_account", "to_account"):
        if getattr(request, name) is None:
            return answers.missing_field(name)
    if account.owner != request.user_id:
        return answers.unknown_account(str(request.from_account))
    if account.currency != (request.currency or DEFAULT_CURRENCY):
        return answers.invalid_field("currency", "must be the account's currency")
    if account.currency not in policy.currencies:
        return answers.invalid_field("currency", "is not supported")
    return None


def create(
    request: ConfirmRequested,
    account: Account,
    uetr: Uetr,
    policy: Policy,
    now: datetime,
) -> Decision:
    """Return the new payment of a request that `refusal` accepts.

    This funds check only saves a needless code request; the check at the hold decides.
    """
    payment = _new_payment(request, account, uetr, policy, now)
    remaining = account.balance_minor - payment.amount_minor
    if account.minimum_minor is not None and remaining < account.minimum_minor:
        return _declined_at_once(payment, request)
    scoring = about(
        AssessmentRequested,
        payment,
        requested_at=now,
        expires_at=payment.due_at,
        sealed_to_name=request.sealed_to_name,
    )
    return Decision(payment, (scoring,))


def on_request(
    payment: Payment, request: ConfirmRequested, policy: Policy, now: datetime
) -> Decision:
    """Decide a later request for a stored payment of the same user."""
    if payment.idempotency_key != request.idempotency_key:
        other = answers.other_key(payment.public_status, payment.transaction_id)
        return _reply_only(payment, request, other)
    if not _same_request(payment, request):
        return _reply_only(payment, request, answers.key_reused())
    if payment.is_overdue(now):
        return decline(with_request(payment, request), "timed_out", now)
    match payment.status:
        case Status.AWAITING_RISK | Status.CHALLENGING | Status.VERIFYING:
            return _reply_only(payment, request, answers.in_progress())
        case Status.AWAITING_CODE if request.code_tag is None:
            return _request_code(payment, request, policy, now)
        case Status.AWAITING_CODE:
            return _verify(payment, request, policy, now)
        case Status.CONFIRMED if request.code_tag not in (None, payment.accepted_tag):
            return _refuse_other_code(payment, request, policy)
        case Status.CONFIRMED | Status.DECLINED:
            return _reply_only(payment, request, replay(payment, policy))
        case _:
            assert_never(payment.status)


def replay(payment: Payment, policy: Policy) -> Answer:
    """Return the stored final response, marked as a replay."""
    if payment.answer_status is None or payment.answer_body is None:
        raise ValueError("a final payment must have a stored response")
    status = policy.replay_status or payment.answer_status
    return Answer(status, payment.answer_body).with_headers(Idempotent_Replayed="true")


def _reply_only(payment: Payment, request: ConfirmRequested, answer: Answer) -> Decision:
    return Decision(payment, (reply(request, answer),))


def _refuse_other_code(payment: Payment, request: ConfirmRequested, policy: Policy) -> Decision:
    """Refuse another code for a confirmed payment; replay where no code was needed."""
    if payment.accepted_tag is None:
        return _reply_only(payment, request, replay(payment, policy))
    return _reply_only(payment, request, answers.invalid_otp())


def _same_request(payment: Payment, request: ConfirmRequested) -> bool:
    """Compare the request's fields, except the code, with the stored ones; omitted ones match."""
    return (
        payment.transaction_id == request.transaction_id
        and request.from_account in (None, payment.from_account)
        and request.to_account in (None, payment.to_account)
        and request.currency in (None, payment.currency)
        and (request.amount is None or _same_amount(payment, request.amount))
    )


def _same_amount(payment: Payment, amount: str) -> bool:
    return minor_units(Decimal(amount), payment.currency) == payment.amount_minor


def _request_code(
    payment: Payment, request: ConfirmRequested, policy: Policy, now: datetime
) -> Decision:
    """Reply with the time left of the live challenge, or request a new challenge."""
    waiting = with_request(payment, request)
    if payment.challenge_number == 0:
        # Every challenge so far was refused; otp decides whether it issues one now.
        return challenge(waiting, policy, now)
    if payment.challenge_ends_at is None or payment.challenged_at is None:
        raise ValueError("a payment that awaits a code must have a challenge")
    left = payment.challenge_ends_at - now
    if not payment.challenge_over and left > timedelta(0):
        return _reply_only(payment, request, answers.otp_required(ceil(left.total_seconds())))
    if payment.challenge_number >= policy.challenges:
        return decline(waiting, "otp_exhausted", now)
    too_soon = payment.challenged_at + policy.challenge_again_after - now
    if too_soon > timedelta(0):
        retry_after_s = ceil(too_soon.total_seconds())
        return _reply_only(payment, request, answers.too_many_requests(retry_after_s))
    return challenge(waiting, policy, now)


def _verify(payment: Payment, request: ConfirmRequested, policy: Policy, now: datetime) -> Decision:
    """Send a code to otp for verification; the reply follows otp's result."""
    if payment.challenge_number == 0 or payment.request_id == request.request_id:
        # No code was issued so far, or the record was read again and its code was judged before.
        return _reply_only(payment, request, answers.invalid_otp())
    if payment.challenge_id is None or request.sealed_code is None:
        raise ValueError("a code must be sealed and belong to a challenge")
    waiting = with_request(payment, request)
    due_at = _deadline(request, policy, now)
    state = waiting.moved(Status.VERIFYING, now, due_at=due_at, tag_under_test=request.code_tag)
    sealed = {"sealed_code": request.sealed_code, "expires_at": due_at}
    return Decision(state, (about(VerificationRequested, state, **sealed),))


def _deadline(request: ConfirmRequested, policy: Policy, now: datetime) -> datetime:
    """Return the deadline of the step that a request starts: at most the request's own."""
    due_at = now + policy.state_timeout
    return due_at if request.expires_at is None else min(due_at, request.expires_at)


def _new_payment(
    request: ConfirmRequested,
    account: Account,
    uetr: Uetr,
    policy: Policy,
    now: datetime,
) -> Payment:
    amount_minor = minor_units(Decimal(request.amount or "0"), account.currency)
    if amount_minor is None or request.to_account is None:
        raise ValueError("a request that creates a payment must be complete")
    return Payment(
        id=payment_id_of(request.user_id, request.transaction_id),
        user_id=request.user_id,
        transaction_id=request.transaction_id,
        idempotency_key=request.idempotency_key,
        amount_minor=amount_minor,
        currency=account.currency,
        from_account=account.id,
        to_account=request.to_account,
        status=Status.AWAITING_RISK,
        version=1,
        request_id=request.request_id,
        reply_partition=request.reply_partition,
        due_at=_deadline(request, policy, now),
        uetr=uetr,
        reference=reference_of(uetr),
        created_at=now,
        updated_at=now,
        ip_address=request.context.ip_address,
        device_fingerprint=request.context.device_fingerprint,
        country=request.context.country,
        traceparent=request.context.traceparent,
        instrument=request.instrument,
        branch=request.branch,
    )


def _declined_at_once(payment: Payment, request: ConfirmRequested) -> Decision:
    answer = final_answer(payment, Status.DECLINED, "insufficient_funds")
    state = replace(
        payment,
        status=Status.DECLINED,
        due_at=None,
        reason="insufficient_funds",
        answer_status=answer.status,
        answer_body=answer.body,
    )
    return Decision(state, (reply(request, answer), about(PaymentDeclined, state)))
