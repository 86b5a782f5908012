"""The demonstration's scenarios, with their own users, accounts and payments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

CODE = "789012"
"""Each one-time code of the development profile."""
WRONG_CODE = "000000"
Outcome = Literal["SETTLED", "REJECTED"]
DECLINED_BY_SCREENING = {"status": "DECLINED", "reason": "not_permitted"}
DECLINED_FOR_FUNDS = {"status": "DECLINED", "reason": "insufficient_funds"}
OTP_REQUIRED = {"status": "OTP_REQUIRED"}
SUCCESS = {"status": "SUCCESS", "settlement_method": "ACH"}


@dataclass(frozen=True, slots=True)
class Step:
    """One request and its expected response: status, and fields of the body."""

    title: str
    status: int
    body: Mapping[str, Any]
    amount: str | None = None
    code: str | None = None
    payment: int = 1
    """Which payment of the scenario."""
    to_name: str | None = None
    after_exception: bool = False
    """Before it, two people find that the payee is not the entry that the payment before hit."""
    is_repeat: bool = False
    """The response equals the previous one, byte for byte, and is marked as a replay."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One customer with requests. Balances are in minor units of USD."""

    name: str
    title: str
    payee: str
    steps: tuple[Step, ...]
    outcomes: Mapping[int, Outcome] = field(default_factory=dict)
    """The expected end of each confirmed payment."""
    opening_minor: int = 10_000_00
    closing_minor: int = 10_000_00
    has_account: bool = True
    own_payee: bool = False
    """The payee's account is of this run: what is found about it is not left to the next one."""
    sms: int = 0
    emails: int = 0
    """Number of messages to the customer."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The names of one run; they differ from those of earlier runs."""

    run: str

    def user(self, scenario: Scenario) -> str:
        """Return the customer's user id, which is also the account's name."""
        return f"demo-{self.run}-{scenario.name}"

    def payee(self, scenario: Scenario) -> str:
        """Return the payee's account."""
        return f"{scenario.payee}-{self.run}" if scenario.own_payee else scenario.payee

    def transaction(self, scenario: Scenario, payment: int = 1) -> str:
        """Return the transaction id of a payment; it is the idempotency key, too."""
        return f"{self.user(scenario)}-{payment}"


SCENARIOS = (
    Scenario(
        name="late",
        title="A slow bank: it takes 10 s, so this payment is first",
        payee="payee-late",
        steps=(Step("confirm", 200, SUCCESS, amount="50.00"),),
        outcomes={1: "SETTLED"},
        closing_minor=9_950_00,
        emails=1,
    ),
    Scenario(
        name="code",
        title="A large payment to a new payee: a one-time code is required",
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
        title="Small payments without a code: first medium, then low risk",
        payee="payee-xyz",
        steps=(
            Step("to a new payee", 200, SUCCESS, amount="50.00"),
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
        title="A bank that rejects the transfer: the money is returned",
        payee="payee-rejected",
        steps=(Step("confirm", 200, SUCCESS, amount="50.00"),),
        outcomes={1: "REJECTED"},
        emails=2,
    ),
)
SCREENED = (
    Scenario(
        name="misspelt",
        title="A payee whose name is on the (invented) list, with two letters swapped",
        payee="payee-xyz",
        steps=(
            Step(
                "confirm",
                403,
                DECLINED_BY_SCREENING,
                amount="50.00",
                to_name="Oleskandr Varennikov",
            ),
        ),
        emails=1,
    ),
    Scenario(
        name="namesake",
        title="A payee with a common name that is on no list",
        payee="payee-xyz",
        steps=(Step("confirm", 200, SUCCESS, amount="50.00", to_name="Maria Garcia"),),
        outcomes={1: "SETTLED"},
        closing_minor=9_950_00,
        emails=1,
    ),
    Scenario(
        name="mistaken",
        title="A payee who is mistaken for a listed person, and an exception by two people",
        payee="payee-mistaken",
        own_payee=True,
        steps=(
            Step("confirm", 403, DECLINED_BY_SCREENING, amount="50.00", to_name="Tariq Qureshi"),
            Step(
                "a new payment",
                200,
                SUCCESS,
                amount="50.00",
                payment=2,
                to_name="Tariq Qureshi",
                after_exception=True,
            ),
        ),
        outcomes={2: "SETTLED"},
        closing_minor=9_950_00,
        emails=2,
    ),
)
"""Of the group risk, where the service screening reads names."""
SHOWN = SCENARIOS[1]
"""The scenario whose timeline is printed."""
