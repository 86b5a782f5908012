"""Users, sessions and clients in PostgreSQL."""

from identity.store.clients import Client, Clients
from identity.store.sessions import Sessions
from identity.store.users import User, Users

__all__ = ["Client", "Clients", "Sessions", "User", "Users"]
