"""The look-ups before an assessment, in batches."""

from risk.clients.calls import CHUNK
from risk.clients.identities import Identities, KnownFirst, Kyc, MemoryIdentities
from risk.clients.look_ups import LookUps
from risk.clients.rules import Compliance, MemoryRules
from risk.clients.sanctions import Match, MemorySanctionsList, NamedPayee, Ofac, SanctionsList

__all__ = [
    "CHUNK",
    "Compliance",
    "Identities",
    "KnownFirst",
    "Kyc",
    "LookUps",
    "Match",
    "MemoryIdentities",
    "MemoryRules",
    "MemorySanctionsList",
    "NamedPayee",
    "Ofac",
    "SanctionsList",
]
