"""What the routes share."""

from dataclasses import dataclass

from screening.clients import Lists
from service_runtime.clock import Clock
from service_runtime.http_unit import HttpUnitOfWork
from service_runtime.operators import Operators
from service_runtime.ports import Database
from service_runtime.sealing import Sealer


@dataclass(frozen=True, slots=True)
class Api:
    """What the routes need."""

    lists: Lists
    sealer: Sealer
    requests: HttpUnitOfWork
    database: Database
    operators: Operators
    clock: Clock
