"""Notification's tables: the port, PostgreSQL, and the memory twin."""

from notification.store.contacts import PostgresContacts, SealedContact, forget
from notification.store.memory import MemoryDeliveries
from notification.store.port import TABLE, Deliveries, NewDelivery
from notification.store.postgres import PostgresDeliveries, delivery_of

__all__ = [
    "TABLE",
    "Deliveries",
    "MemoryDeliveries",
    "NewDelivery",
    "PostgresContacts",
    "PostgresDeliveries",
    "SealedContact",
    "delivery_of",
    "forget",
]
