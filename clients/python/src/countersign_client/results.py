"""What calls return."""

from dataclasses import dataclass, fields
from decimal import Decimal, DecimalException

from countersign_client.answers import Answer, number
from countersign_client.errors import UnexpectedAnswer


@dataclass(frozen=True)
class Confirmed:
    """The payment is confirmed; its settlement follows."""

    transaction_id: str
    reference: str
    settlement_method: str
    request_id: str | None = None

    @classmethod
    def of(cls, answer: Answer) -> "Confirmed":
        """Read a response with the status SUCCESS: of a confirmation, or of a read."""
        text = answer.text
        return cls(
            text("transaction_id"), text("reference"), text("settlement_method"), answer.request_id
        )


@dataclass(frozen=True)
class CodeRequired:
    """The payment needs a one-time code. Call `confirm` again, with `otp_code`."""

    transaction_id: str
    expires_in: int
    message: str = ""
    wrong_codes: int = 0
    """How many codes have been wrong since this one was sent."""
    request_id: str | None = None

    @classmethod
    def of(cls, transaction_id: str, answer: Answer) -> "CodeRequired":
        """Read a response 403 with the status OTP_REQUIRED."""
        return cls(
            transaction_id,
            expires_in=number(answer.text("expires_in")) or 0,
            message=answer.text("message"),
            request_id=answer.request_id,
        )


@dataclass(frozen=True)
class Payment:
    """A payment as `GET /payment/{id}` shows it. Times are RFC 3339 in UTC; '' stands for null."""

    transaction_id: str
    status: str
    settlement_status: str
    amount: Decimal
    currency: str
    from_account: str
    to_account: str
    reference: str
    settlement_method: str
    reason: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, answer: Answer) -> "Payment":
        """Read a response. Raises UnexpectedAnswer for one without an amount."""
        texts = {field.name: answer.text(field.name) for field in fields(cls)}
        try:
            amount = Decimal(texts.pop("amount"))
        except DecimalException:
            raise UnexpectedAnswer(answer=answer) from None
        return cls(amount=amount, **texts)

    @property
    def settled(self) -> bool:
        """Whether the payee's bank has booked the payment."""
        return self.settlement_status == "SETTLED"

    @property
    def final(self) -> bool:
        """Whether nothing more happens: settled, returned or declined."""
        return self.status == "DECLINED" or self.settlement_status in ("SETTLED", "REJECTED")
