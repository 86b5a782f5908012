"""Users, sessions and clients in PostgreSQL."""

from identity.store.addresses import TAKEN, Addresses, AddressKeys, forget_addresses
from identity.store.clients import Clients
from identity.store.codes import Codes
from identity.store.devices import Devices
from identity.store.sessions import Sessions
from identity.store.users import User, Users

__all__ = [
    "TAKEN",
    "AddressKeys",
    "Addresses",
    "Clients",
    "Codes",
    "Devices",
    "Sessions",
    "User",
    "Users",
    "forget_addresses",
]
