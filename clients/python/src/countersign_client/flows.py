"""What a call does, without input and output: a generator of steps, which a client carries out.

`Client` and `AsyncClient` run the same flows, so they cannot differ.
"""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, DecimalException
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from countersign_client import errors
from countersign_client.answers import Answer
from countersign_client.attempts import Attempts
from countersign_client.encryption import CONTENT_TYPE, KEYS_PATH, Encryption
from countersign_client.errors import ConnectionFailed, TransactionConflict, Undecided
from countersign_client.events import HEARTBEAT_S
from countersign_client.results import CodeRequired, Confirmed, Payment
from countersign_client.steps import LONGEST_TRY_S, Call, Follow, Send, Wait

LONGEST_PAUSE_S = 8.0
CODES_A_CHALLENGE = 5
"""After so many wrong codes only a new one helps."""


T = TypeVar("T")
Flow = Generator[Send | Wait | Call | Follow, Any, T]
CodeSource = Callable[[CodeRequired], Any]
Codes = tuple[str | None, CodeSource | None]
"""A code to send at once, and who is asked for one."""
Token = str | Callable[[], Any] | None


@dataclass(frozen=True)
class Order:
    """The parameters of a payment."""

    transaction_id: str
    amount: str
    currency: str
    from_account: str
    to_account: str
    to_name: str | None = None
    """The payee's name. The first request's counts, so it does not distinguish attempts; nor do
    the next two."""
    instrument: str | None = None
    branch: str | None = None

    @property
    def digest(self) -> str:
        """What distinguishes this attempt from others: equal for `5200` and `5200.00`."""
        return _digest(self.amount, self.currency, self.from_account, self.to_account)

    def same_as(self, payment: Payment) -> bool:
        """Whether a payment has these parameters."""
        of_payment = (payment.currency, payment.from_account, payment.to_account)
        return _digest(str(payment.amount), *of_payment) == self.digest


class Patience:
    """The time of one call, over all its tries."""

    def __init__(
        self, now: Callable[[], float], chance: Callable[[], float], left_s: float
    ) -> None:
        self.now = now
        self._chance = chance
        self._ends = now() + left_s

    @property
    def left_s(self) -> float:
        """The seconds left."""
        return self._ends - self.now()

    def of_a_try(self) -> float:
        """Return how long the next try may take."""
        return max(0.1, min(LONGEST_TRY_S, self.left_s))

    def extend(self, seconds: float) -> None:
        """Leave out time in which the user was asked."""
        self._ends += seconds

    def pause(self, error: Undecided, longest_s: float) -> Wait:
        """Return a pause before the next try; raise the error if the time does not suffice.

        Half of the pause is chance, so that clients which failed together do not return together.
        """
        seconds = longest_s * (0.5 + self._chance() / 2)
        seconds = max(seconds, (error.retry_after_s or 0) + self._chance() / 4)
        if self.now() + seconds >= self._ends:
            raise error
        return Wait(seconds)


class Flows:
    """The calls, as flows."""

    def __init__(self, token: Token, attempts: Attempts, encryption: Encryption | None) -> None:
        self._encryption = encryption
        self._token = token
        self._attempts = attempts
        self._held: str | None = None if callable(token) else token

    def confirm(
        self, order: Order, codes: Codes, patience: Patience
    ) -> Flow[Confirmed | CodeRequired]:
        """Confirm a payment; the key is forgotten when the outcome is definite."""
        attempt = (order.transaction_id, order.digest)
        key = yield Call(partial(self._attempts.key_of, *attempt), blocks=True)
        forget = Call(partial(self._attempts.forget, order.transaction_id, key), blocks=True)
        try:
            result = yield from self._with_codes(order, key, codes, patience)
        except (errors.Declined, errors.KeyReused):
            yield forget
            raise
        if isinstance(result, Confirmed):
            yield forget
        return result

    def payment(self, transaction_id: str, patience: Patience) -> Flow[Answer]:
        """Read a payment."""
        return self._send(Send("GET", f"/payment/{quote(transaction_id, safe='')}"), patience)

    def until(
        self,
        done: Callable[[Answer], bool],
        transaction_id: str,
        patience: Patience,
        accepted: Answer | None = None,
    ) -> Flow[Answer]:
        """Read a payment and follow it until it is as wanted; without a stream, read it again.

        One that a response has just `accepted` may be unknown for a moment.
        """
        last = accepted or Answer(0, {}, {})
        for pause_s in _pauses(0.5, 3.0):
            try:
                last = yield from self.payment(transaction_id, patience)
                if done(last):
                    return last
                followed = yield from self._followed(done, transaction_id, last, patience)
                if followed is not None:
                    return followed
            except errors.UnknownPayment:
                if accepted is None:
                    raise
            yield patience.pause(errors.StillPending(answer=last), pause_s)
        raise AssertionError("the pauses never end")

    def _followed(
        self, done: Callable[[Answer], bool], transaction_id: str, last: Answer, patience: Patience
    ) -> Flow[Answer | None]:
        """Follow a payment from its last status on; None where that is not possible.

        A gateway that has streams numbers its reads (`ETag`). The last seconds are left to reads,
        whose time is bounded more exactly.
        """
        seen, left_s = last.headers.get("etag", "").strip('"'), patience.left_s - HEARTBEAT_S
        if not seen.isdecimal() or left_s <= 0:
            return None
        token = yield from self._current_token()
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        path = f"/payment/{quote(transaction_id, safe='')}/events"
        followed: Answer | None = yield Follow(
            path, {"Last-Event-ID": seen, **bearer}, done, left_s
        )
        return followed

    def settled(self, transaction_id: str, patience: Patience) -> Flow[Answer]:
        """Read a payment until it is settled, returned or declined."""

        def final(answer: Answer) -> bool:
            return Payment.of(answer).final

        return self.until(final, transaction_id, patience)

    def _with_codes(
        self, order: Order, key: str, codes: Codes, patience: Patience
    ) -> Flow[Confirmed | CodeRequired]:
        """Send a request, and again with each code that the application returns."""
        otp_code, source = codes
        required: CodeRequired | None = None
        ends = 0.0
        while True:
            try:
                result = yield from self._decided(order, key, otp_code, patience)
            except errors.InvalidCode:
                if source is None or required is None:
                    raise
                left_s = ends - patience.now()
                if left_s <= 0 or required.wrong_codes + 1 >= CODES_A_CHALLENGE:
                    otp_code = required = None  # a request without a code asks for a new one
                    continue
                wrong = required.wrong_codes + 1
                required = replace(required, wrong_codes=wrong, expires_in=int(left_s) + 1)
            else:
                if source is None or not isinstance(result, CodeRequired):
                    return result
                required, ends = result, patience.now() + result.expires_in
            otp_code = yield from _asked(source, required, patience)
            if otp_code is None:
                return required

    def _decided(
        self, order: Order, key: str, otp_code: str | None, patience: Patience
    ) -> Flow[Confirmed | CodeRequired]:
        """Send one request, and follow the payment while it is pending."""
        fields = {**vars(order), "otp_code": otp_code}
        body = {name: value for name, value in fields.items() if value is not None}
        request = Send("POST", "/payment/confirm", {"Idempotency-Key": key}, body)
        while True:
            try:
                answer = yield from self._send(request, patience)
            except TransactionConflict as conflict:
                return (yield from self._known(order, conflict, patience))
            if answer.status == 202:
                yield patience.pause(errors.StillPending(answer=answer), 1.0)
                answer = yield from self.until(
                    _left_pending, order.transaction_id, patience, answer
                )
                if answer.text("status") == "OTP_REQUIRED":
                    continue  # the state does not show how long the code lasts, nor if one failed
            if answer.text("status") == "OTP_REQUIRED":
                return CodeRequired.of(order.transaction_id, answer)
            return _outcome(answer)

    def _known(
        self, order: Order, conflict: TransactionConflict, patience: Patience
    ) -> Flow[Confirmed]:
        """Return the outcome of a payment that exists under another key, if it is the same one.

        So a repeated call after a definite outcome, or after the loss of the key, ends well.
        """

        def known(answer: Answer) -> bool:
            return _left_pending(answer) or not order.same_as(Payment.of(answer))

        answer = yield from self.until(known, order.transaction_id, patience, conflict.answer)
        state = answer.text("status")
        if state not in ("SUCCESS", "DECLINED") or not order.same_as(Payment.of(answer)):
            raise conflict
        return _outcome(answer)

    def _send(
        self,
        request: Send,
        patience: Patience,
        decides: Callable[[Answer], bool] | None = None,
    ) -> Flow[Answer]:
        """Send a request until its response decides. Raises Refused, and Undecided at the end."""
        renewed = reread = False
        for pause_s in _pauses(0.25, LONGEST_PAUSE_S):
            token = yield from self._current_token()
            bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
            one_try = replace(request, headers={**request.headers, **bearer})
            if self._encryption is not None and request.body is not None:
                one_try = yield from self._encrypted(one_try, token, self._encryption, patience)
            one_try = replace(one_try, timeout_s=patience.of_a_try())
            answer: Answer | ConnectionFailed = yield one_try
            if isinstance(answer, Answer) and (decides or _decides)(answer):
                return answer
            error = errors.error_of(answer) if isinstance(answer, Answer) else answer
            if isinstance(error, errors.Unauthorized) and callable(self._token) and not renewed:
                renewed = True
                self._withdraw(token)
                continue
            if isinstance(error, errors.EncryptionRefused) and self._encryption and not reread:
                reread = True
                self._encryption.forget()
                continue
            if not isinstance(error, Undecided):
                raise error
            yield patience.pause(error, pause_s)
        raise AssertionError("the pauses never end")

    def _encrypted(
        self, request: Send, token: str | None, encryption: Encryption, patience: Patience
    ) -> Flow[Send]:
        """Encrypt a try: each has times and an id of its own, and all one idempotency key."""
        if not encryption.has_key(patience.now()):
            keys = yield from self._send(Send("GET", KEYS_PATH), patience, _is_ok)
            encryption.keep(keys, patience.now())
        headers = {**request.headers, "Content-Type": CONTENT_TYPE}
        content = encryption.encrypt(request.body or {}, token)
        return replace(request, headers=headers, body=None, content=content)

    def _current_token(self) -> Flow[str | None]:
        if self._held is None and callable(self._token):
            self._held = yield Call(self._token)
        return self._held

    def _withdraw(self, token: str | None) -> None:
        """Forget a refused token, unless another call has renewed it."""
        if self._held == token:
            self._held = None


def _asked(source: CodeSource, required: CodeRequired, patience: Patience) -> Flow[str | None]:
    """Ask the application for a code. The deadline is about the system, not about the user."""
    began = patience.now()
    code: str | None = yield Call(partial(source, required))
    patience.extend(patience.now() - began)
    return code


def _pauses(first_s: float, longest_s: float) -> Iterator[float]:
    """Yield pauses that double up to the longest."""
    for number in itertools.count():
        yield min(longest_s, first_s * 2 ** min(number, 10))


def _digest(amount: str, *others: str) -> str:
    """Return a digest of parameters; an amount that is no number counts as it is."""
    with contextlib.suppress(DecimalException):
        amount = str(Decimal(amount).normalize())
    return hashlib.sha256(json.dumps([amount, *others]).encode()).hexdigest()


def _decides(answer: Answer) -> bool:
    """Whether a response is a result, and no error."""
    state = answer.text("status")
    if answer.status == 200:
        return state in ("PENDING", "OTP_REQUIRED", "SUCCESS", "DECLINED")
    return (answer.status, state) in {(202, "PENDING"), (403, "OTP_REQUIRED")}


def _is_ok(answer: Answer) -> bool:
    return answer.status == 200


def _left_pending(answer: Answer) -> bool:
    return answer.text("status") != "PENDING"


def _outcome(answer: Answer) -> Confirmed:
    """Return the result of a payment with a definite state; raise Declined."""
    if answer.text("status") == "DECLINED":
        raise errors.Declined(answer=answer)
    return Confirmed.of(answer)
