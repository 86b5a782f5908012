"""What the demonstration does and expects: users, accounts and payments of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

CODE = "789012"
"""Every one-time code in the development profile."""
WRONG_CODE = "000000"
Outcome = Literal["SETTLED", "REJECTED"]
DECLINED_BY_SCREENING = {"status": "DECLINED", "reason": "not_permitted"}
DECLINED_FOR_FUNDS = {"status": "DECLINED", "reason": "insufficient_funds"}
OTP_REQUIRED = {"status": "OTP_REQUIRED"}
SUCCESS = {"status": "SUCCESS", "settlement_method": "ACH"}


@dataclass(frozen=True, slots=True)
class Step:
    """One request, and the answer that it must have: status, and these fields of the body."""

    says: str
    status: int
    body: Mapping[str, Any]
    amount: str | None = None
    code: str | None = None
    payment: int = 1
    """Which payment of the scenario."""
    is_repeat: bool = False
    """The answer is the one before, byte for byte, and marked as a repeat."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One customer and what they try. Balances are in minor units of USD."""

    name: str
    title: str
    payee: str
    steps: tuple[Step, ...]
    outcomes: Mapping[int, Outcome] = field(default_factory=dict)
    """How each payment that is confirmed must end."""
    opening_minor: int = 10_000_00
    closing_minor: int = 10_000_00
    has_account: bool = True
    sms: int = 0
    emails: int = 0
    """Messages that the customer must get."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The names that one run uses, so that it meets nothing of an earlier one."""

    run: str

    def user(self, scenario: Scenario) -> str:
        """Return the customer, whose one account is called the same."""
        return f"demo-{self.run}-{scenario.name}"

    def transaction(self, scenario: Scenario, payment: int = 1) -> str:
        """Return the transaction id of a payment; it is the idempotency key, too."""
        return f"{self.user(scenario)}-{payment}"


SCENARIOS = (
    Scenario(
        name="late",
        title="A bank that answers late: it takes 10 s, so this one goes first",
        payee="payee-late",
        steps=(Step("confirm", 200, SUCCESS, amount="50.00"),),
        outcomes={1: "SETTLED"},
        closing_minor=9_950_00,
        emails=1,
    ),
    Scenario(
        name="code",
        title="A large payment to somebody new: a code is asked for",
        payee="payee-xyz",
        steps=(
            Step("confirm", 403, OTP_REQUIRED, amount="5200.00"),
            Step("a wrong code", 401, {"error": "Invalid OTP"}, code=WRONG_CODE),
            Step("the right code", 200, SUCCESS, code=CODE),
            Step("the same again", 200, SUCCESS, code=CODE, is_repeat=True),
        ),
        outcomes={1: "SETTLED"},
        closing_minor=4_800_00,
        sms=1,
        emails=1,
    ),
    Scenario(
        name="low",
        title="Small payments: no code, the first is of medium risk, the next of low",
        payee="payee-xyz",
        steps=(
            Step("to a payee who is new", 200, SUCCESS, amount="50.00"),
            Step("to the same payee", 200, SUCCESS, amount="25.00", payment=2),
        ),
        outcomes={1: "SETTLED", 2: "SETTLED"},
        closing_minor=9_925_00,
        emails=2,
    ),
    Scenario(
        name="sanctioned",
        title="A payee on the sanctions list",
        payee="payee-sanctioned",
        steps=(Step("confirm", 403, DECLINED_BY_SCREENING, amount="50.00"),),
        emails=1,
    ),
    Scenario(
        name="nobody",
        title="An account that does not exist",
        payee="payee-xyz",
        steps=(Step("confirm", 404, {}, amount="50.00"),),
        has_account=False,
    ),
    Scenario(
        name="poor",
        title="Insufficient funds",
        payee="payee-xyz",
        steps=(Step("confirm", 403, DECLINED_FOR_FUNDS, amount="50.00"),),
        opening_minor=10_00,
        closing_minor=10_00,
        emails=1,
    ),
    Scenario(
        name="rejected",
        title="A bank that refuses the transfer: the money comes back",
        payee="payee-rejected",
        steps=(Step("confirm", 200, SUCCESS, amount="50.00"),),
        outcomes={1: "REJECTED"},
        emails=2,
    ),
)
SHOWN = SCENARIOS[1]
"""Whose timeline is printed."""
