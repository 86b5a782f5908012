"""A draft of FinCEN's Suspicious Activity Report, for an officer to complete."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from compliance.domain.cases import Reason
from compliance.domain.filings.document import (
    Node,
    cleaned,
    day,
    dollars,
    group,
    mark,
    text,
    written,
)
from compliance.domain.filings.evidence import EvidencePayment, Filing
from compliance.domain.filings.parties import (
    EIN,
    Filer,
    account_number,
    contact_for_assistance,
    identified,
    institution,
    transmitter,
    transmitters_contact,
    unknown_address,
    unknown_name,
    unknown_tin,
)

FORM = "SARX"
MOST_ACCOUNTS, MOST_BLOCKS, BLOCK_CHARACTERS = 99, 5, 4000
FUNDS_TRANSFER, PAYMENT_MECHANISM = "33", "6"
MONEY_LAUNDERING = "8"
_SUBTYPES: Mapping[Reason, str] = MappingProxyType(
    {"amount": "805", "risk": "812", "rule": "812", "cash": "812"}
)
"""805 suspicious EFT/wire transfers, 812 transaction out of pattern for the customer: what the
draft begins with; the officer decides."""


def sar_of(filings: Sequence[Filing], filer: Filer) -> bytes:
    """Return a batch of reports as XML."""
    figures = {
        "TotalAmount": sum(one.total_dollars or 0 for one in filings),
        "PartyCount": len(filings),
        "ActivityCount": len(filings),
        "ActivityAttachmentCount": 0,
        "AttachmentCount": 0,
    }
    return written(FORM, (_activity(one, filer) for one in filings), figures)


def _activity(filing: Filing, filer: Filer) -> Node:
    return group(
        "Activity",
        day("FilingDateText", filing.on),
        group("ActivityAssociation", mark("InitialReportIndicator")),
        transmitter(filer),
        transmitters_contact(filer),
        institution(filer, "30"),
        contact_for_assistance(filer),
        institution(filer, "34", mark("NoBranchActivityInvolvedIndicator")),
        _subject(filing, filer),
        _suspicion(filing),
        group(
            "Assets",
            text("AssetSubtypeID", FUNDS_TRANSFER),
            text("AssetTypeID", PAYMENT_MECHANISM),
        ),
        *_narrative(filing),
    )


def _subject(filing: Filing, filer: Filer) -> Node:
    numbers = [account_number(one) for one in filing.accounts[:MOST_ACCOUNTS]]
    known = [one for one in numbers if one is not None]
    return group(
        "Party",
        text("ActivityPartyTypeCode", "33"),
        mark(
            "AllCriticalSubjectInformationUnavailableIndicator",
            applies=not filing.case.suspect_known,
        ),
        mark("BirthDateUnknownIndicator"),
        mark("NoKnownAccountInvolvedIndicator", applies=not known),
        mark("PurchaserSenderIndicator"),
        mark("UnknownGenderIndicator"),
        unknown_name(),
        unknown_address(),
        unknown_tin(),
        group(
            "PartyAssociation",
            mark("CustomerIndicator"),
            text("SubjectRelationshipFinancialInstitutionTINText", filer.ein),
        ),
        _accounts(known, filer) if known else None,
    )


def _accounts(numbers: Sequence[Node], filer: Filer) -> Node:
    held_here = group("PartyAccountAssociation", text("PartyAccountAssociationTypeCode", "5"))
    return group(
        "PartyAccountAssociation",
        text("PartyAccountAssociationTypeCode", "7"),
        group(
            "Party",
            text("ActivityPartyTypeCode", "41"),
            identified(EIN, filer.ein),
            *(group("Account", one, held_here) for one in numbers),
        ),
    )


def _suspicion(filing: Filing) -> Node:
    days = [filing.day_of(one) for one in filing.payments] or [filing.on]
    reasons = sorted({reason for one in filing.payments for reason in one.reasons})
    subtypes = sorted({_SUBTYPES[one] for one in reasons} or {_SUBTYPES["risk"]})
    total = filing.total_dollars
    return group(
        "SuspiciousActivity",
        mark("AmountUnknownIndicator", applies=total is None),
        day("SuspiciousActivityFromDateText", min(days)),
        day("SuspiciousActivityToDateText", max(days)),
        dollars("TotalSuspiciousAmountText", total),
        *(
            group(
                "SuspiciousActivityClassification",
                text("SuspiciousActivitySubtypeID", one),
                text("SuspiciousActivityTypeID", MONEY_LAUNDERING),
            )
            for one in subtypes
        ),
    )


def _narrative(filing: Filing) -> Iterator[Node]:
    """Yield the narrative in blocks; what the form has no room for is left to the evidence."""
    left = cleaned(" ".join(_sentences(filing)))
    for number in range(1, MOST_BLOCKS + 1):
        block, left = left[:BLOCK_CHARACTERS], left[BLOCK_CHARACTERS:].lstrip()
        if not block:
            return
        yield group(
            "ActivityNarrativeInformation",
            text("ActivityNarrativeSequenceNumber", str(number)),
            text("ActivityNarrativeText", block),
        )


def _sentences(filing: Filing) -> Iterator[str]:
    case = filing.case
    yield f"DRAFT. Case {case.id}, customer {case.user_id}, detected {case.detected_at:%Y-%m-%d}."
    yield from filing.notes
    yield f"Payments: {len(filing.payments)}."
    yield from (_described(filing, one) for one in filing.payments)


def _described(filing: Filing, payment: EvidencePayment) -> str:
    cents = payment.amount_usd_minor
    amount = "amount unknown" if cents is None else f"USD {cents // 100}.{cents % 100:02}"
    parts = [
        f"{filing.day_of(payment)} {payment.transaction_id or payment.payment_id}",
        amount,
        f"from {payment.account or 'unknown'} to {payment.payee or 'unknown'}",
        f"score {payment.score}" if payment.score is not None else "",
        f"reasons {', '.join(payment.reasons)}",
    ]
    return f"{', '.join(filter(None, parts))}."
