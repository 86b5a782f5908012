"""The invariants I1 to I15 (docs/reliability.md): facts about a payment, and the rules for them.

Readers stay independent: `countersign check`, the services' own checks, the simulation and the
chaos run each read their own data, and judge it by these rules.
"""

from payment_schemas.invariants.facts import (
    Assessment,
    Challenge,
    Challenges,
    Deliveries,
    Fault,
    Instruction,
    Movement,
    Payment,
    PaymentRecords,
    Timeline,
)
from payment_schemas.invariants.rules import faults_of
from payment_schemas.invariants.timeline import faults_of_entries

__all__ = [
    "Assessment",
    "Challenge",
    "Challenges",
    "Deliveries",
    "Fault",
    "Instruction",
    "Movement",
    "Payment",
    "PaymentRecords",
    "Timeline",
    "faults_of",
    "faults_of_entries",
]
