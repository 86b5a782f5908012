"""The parties of both forms: who files, and a person of whom only accounts are known."""

from dataclasses import dataclass

from compliance.domain.filings.document import Node, group, mark, text

EIN, TIN, TRANSMITTER_CODE, OTHER = "2", "4", "28", "999"
"""Types of identification."""
DEPOSITORY = "2"
MOST_ACCOUNT_CHARACTERS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Filer:
    """The institution that files, as registered with FinCEN."""

    name: str
    ein: str
    """Employer identification number, nine digits."""
    transmitter_code: str
    """Transmitter Control Code."""
    regulator: str
    """1 Federal Reserve, 2 FDIC, 3 NCUA, 4 OCC, 6 SEC, 7 IRS, 9 CFTC."""
    street: str
    city: str
    state: str
    zip_code: str
    phone: str
    contact: str
    """Office that answers questions."""


DEMONSTRATION = Filer(
    name="Countersign Demonstration Bank",
    ein="000000000",
    transmitter_code="PTEST000",
    regulator="1",
    street="1 Example Street",
    city="Springfield",
    state="VA",
    zip_code="22150",
    phone="5550100000",
    contact="Compliance office",
)
"""Invented, for PROFILE=dev."""


def transmitter(filer: Filer) -> Node:
    """Return who transmits the batch."""
    return group(
        "Party",
        text("ActivityPartyTypeCode", "35"),
        name_of(filer.name),
        address_of(filer),
        group("PhoneNumber", text("PhoneNumberText", filer.phone, 16)),
        identified(TIN, filer.ein),
        identified(TRANSMITTER_CODE, filer.transmitter_code),
    )


def transmitters_contact(filer: Filer) -> Node:
    """Return whom FinCEN asks about the batch."""
    return group("Party", text("ActivityPartyTypeCode", "37"), name_of(filer.contact))


def contact_for_assistance(filer: Filer) -> Node:
    """Return whom FinCEN asks about a report."""
    return group(
        "Party",
        text("ActivityPartyTypeCode", "8"),
        name_of(filer.contact),
        group("PhoneNumber", text("PhoneNumberText", filer.phone, 16)),
    )


def institution(filer: Filer, role: str, *before: Node | None, branch: str = "") -> Node:
    """Return the institution in a role; `before`: what the role adds before its regulator."""
    return group(
        "Party",
        text("ActivityPartyTypeCode", role),
        *before,
        text("PrimaryRegulatorTypeCode", filer.regulator),
        name_of(filer.name),
        address_of(filer),
        identified(EIN, filer.ein),
        _branch(branch),
        group("OrganizationClassificationTypeSubtype", text("OrganizationTypeID", DEPOSITORY)),
    )


def name_of(name: str) -> Node:
    """Return a legal name."""
    return group("PartyName", text("PartyNameTypeCode", "L"), text("RawPartyFullName", name, 150))


def address_of(filer: Filer) -> Node:
    """Return the institution's address."""
    return group(
        "Address",
        text("RawCityText", filer.city, 50),
        text("RawCountryCodeText", "US"),
        text("RawStateCodeText", filer.state, 3),
        text("RawStreetAddress1Text", filer.street, 100),
        text("RawZIPCode", filer.zip_code, 9),
    )


def identified(kind: str, number: str) -> Node:
    """Return an identification."""
    return group(
        "PartyIdentification",
        text("PartyIdentificationNumberText", number, 25),
        text("PartyIdentificationTypeCode", kind),
    )


def unknown_name() -> Node:
    """Return the name of a person whose identity check is not part of the case."""
    return group(
        "PartyName",
        mark("EntityLastNameUnknownIndicator"),
        mark("FirstNameUnknownIndicator"),
        text("PartyNameTypeCode", "L"),
    )


def unknown_address() -> Node:
    """Return an address that is not known."""
    names = ("City", "CountryCode", "StateCode", "StreetAddress", "ZIPCode")
    return group("Address", *(mark(f"{name}UnknownIndicator") for name in names))


def unknown_tin() -> Node:
    """Return a taxpayer's number that is not known."""
    return group("PartyIdentification", mark("TINUnknownIndicator"))


def account_number(account: str) -> Node | None:
    """Return an account's number; None where the form has no room for the whole of it."""
    return text("AccountNumberText", account) if len(account) <= MOST_ACCOUNT_CHARACTERS else None


def _branch(branch: str) -> Node | None:
    if not branch:
        return None
    return group(
        "PartyIdentification",
        text("OtherPartyIdentificationTypeText", "Branch"),
        text("PartyIdentificationNumberText", branch, 25),
        text("PartyIdentificationTypeCode", OTHER),
    )
