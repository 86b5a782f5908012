"""The tables of charges in PostgreSQL."""

from charges.store.cards import CARD_TOKEN_TABLE, Cards, provision_of
from charges.store.charges import CHARGE_TABLE, Charges, charge_of
from charges.store.disputes import Disputes
from charges.store.erased import ErasedSubjects
from charges.store.reading import Reading
from charges.store.refunds import REFUND_TABLE, Refunds, refund_of
from charges.store.routes import Routes
from charges.store.waiting import Waiting

__all__ = [
    "CARD_TOKEN_TABLE",
    "CHARGE_TABLE",
    "REFUND_TABLE",
    "Cards",
    "Charges",
    "Disputes",
    "ErasedSubjects",
    "Reading",
    "Refunds",
    "Routes",
    "Waiting",
    "charge_of",
    "provision_of",
    "refund_of",
]
