"""The rows that services export about a payment, as types."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from payment_schemas.invariants import (
    Assessment,
    Challenges,
    Deliveries,
    Instruction,
    Movement,
    Payment,
    Timeline,
)

Row = Mapping[str, Any]
"""A row of a service's response."""

# The types parse the rows; unknown fields are ignored.
payment_of = TypeAdapter(Payment).validate_python
instruction_of = TypeAdapter(Instruction).validate_python
timeline_of = TypeAdapter(Timeline).validate_python
challenges_of = TypeAdapter(Challenges).validate_python
assessment_of = TypeAdapter(Assessment).validate_python
deliveries_of = TypeAdapter(Deliveries).validate_python
movement_of = TypeAdapter(Movement).validate_python
