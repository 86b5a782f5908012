"""The tables of charges in PostgreSQL."""

from charges.store.charges import CHARGE_TABLE, Charges, charge_of
from charges.store.refunds import REFUND_TABLE, Refunds, refund_of
from charges.store.routes import Routes
from charges.store.waiting import Waiting

__all__ = [
    "CHARGE_TABLE",
    "REFUND_TABLE",
    "Charges",
    "Refunds",
    "Routes",
    "Waiting",
    "charge_of",
    "refund_of",
]
