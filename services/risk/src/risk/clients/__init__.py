"""The two look-ups: sanctions screening (OFAC) and identity (KYC), in parallel and in batches."""

from risk.clients.calls import CHUNK
from risk.clients.identities import Identities, Kyc, MemoryIdentities
from risk.clients.look_ups import LookUps
from risk.clients.sanctions import Match, MemorySanctionsList, NamedPayee, Ofac, SanctionsList

__all__ = [
    "CHUNK",
    "Identities",
    "Kyc",
    "LookUps",
    "Match",
    "MemoryIdentities",
    "MemorySanctionsList",
    "NamedPayee",
    "Ofac",
    "SanctionsList",
]
