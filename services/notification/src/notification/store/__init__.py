"""Where deliveries and contacts are kept: the port, PostgreSQL, and the memory twin."""

from notification.store.memory import MemoryDeliveries
from notification.store.port import TABLE, Deliveries, New
from notification.store.postgres import PostgresDeliveries, delivery_of

__all__ = [
    "TABLE",
    "Deliveries",
    "MemoryDeliveries",
    "New",
    "PostgresDeliveries",
    "delivery_of",
]
