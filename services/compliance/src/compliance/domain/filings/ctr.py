"""A draft of FinCEN's Currency Transaction Report: a person's cash of one business day."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from compliance.domain.filings.document import (
    Node,
    blank,
    day,
    dollars,
    group,
    mark,
    parties_in,
    text,
    written,
)
from compliance.domain.filings.evidence import Filing
from compliance.domain.filings.parties import (
    Filer,
    account_number,
    contact_for_assistance,
    institution,
    transmitter,
    transmitters_contact,
    unknown_address,
    unknown_name,
    unknown_tin,
)
from compliance.domain.payments import whole_dollars

FORM = "CTRX"
PAYMENTS = "46"
"""Of the kinds of cash in: payment(s)."""
MOST_ACCOUNTS = 198
_CHANNELS = ("ArmoredCarService", "ATM", "MailDepositShipment", "NightDeposit", "SharedBranching")
"""None applies: cash is handed in at a branch."""


def ctr_of(filings: Sequence[Filing], filer: Filer) -> bytes:
    """Return a batch of reports as XML."""
    activities = [_activity(one, filer) for one in filings]
    figures = {
        "TotalAmount": sum(one.total_dollars or 0 for one in filings),
        "PartyCount": sum(map(parties_in, activities)),
        "ActivityCount": len(activities),
    }
    return written(FORM, activities, figures)


def _activity(filing: Filing, filer: Filer) -> Node:
    amends = filing.case.amends is not None
    return group(
        "Activity",
        day("FilingDateText", filing.on),
        group(
            "ActivityAssociation",
            mark("CorrectsAmendsPriorReportIndicator", applies=amends)
            or blank("CorrectsAmendsPriorReportIndicator"),
            blank("FinCENDirectBackFileIndicator"),
            mark("InitialReportIndicator", applies=not amends) or blank("InitialReportIndicator"),
        ),
        transmitter(filer),
        transmitters_contact(filer),
        institution(filer, "30"),
        contact_for_assistance(filer),
        *(
            institution(filer, "34", _cash_in(cents), branch=branch)
            for branch, cents in sorted(_by_branch(filing).items())
        ),
        _person(filing),
        _transactions(filing),
    )


def _by_branch(filing: Filing) -> Mapping[str, int]:
    """Return US cents by branch."""
    found: dict[str, int] = defaultdict(int)
    for one in filing.payments:
        found[one.branch or ""] += one.amount_usd_minor or 0
    return found


def _cash_in(cents: int) -> Node | None:
    return dollars("IndividualEntityCashInAmountText", whole_dollars(cents))


def _person(filing: Filing) -> Node:
    return group(
        "Party",
        text("ActivityPartyTypeCode", "50"),
        mark("BirthDateUnknownIndicator"),
        dollars("IndividualEntityCashInAmountText", filing.total_dollars),
        mark("MultipleTransactionsPersonsIndividualsIndicator", applies=len(filing.payments) > 1),
        mark("UnknownGenderIndicator"),
        unknown_name(),
        unknown_address(),
        unknown_tin(),
        group("PartyIdentification", mark("IdentificationPresentUnknownIndicator")),
        *(_account(one) for one in filing.accounts[:MOST_ACCOUNTS]),
    )


def _account(account: str) -> Node | None:
    number = account_number(account)
    if number is None:
        return None
    cash_in = group("PartyAccountAssociation", text("PartyAccountAssociationTypeCode", "8"))
    return group("Account", number, cash_in)


def _transactions(filing: Filing) -> Node:
    aggregated = mark("AggregateTransactionIndicator", applies=len(filing.payments) > 1)
    total = str(filing.total_dollars or 0)
    return group(
        "CurrencyTransactionActivity",
        aggregated or blank("AggregateTransactionIndicator"),
        *(blank(f"{name}Indicator") for name in _CHANNELS),
        text("TotalCashInReceiveAmountText", total),
        blank("TotalCashOutAmountText"),
        day("TransactionDateText", filing.case.business_day or filing.on),
        group(
            "CurrencyTransactionActivityDetail",
            text("CurrencyTransactionActivityDetailTypeCode", PAYMENTS),
            text("DetailTransactionAmountText", total),
            blank("OtherCurrencyTransactionActivityDetailText"),
            blank("OtherForeignCurrencyCountryText"),
        ),
    )
