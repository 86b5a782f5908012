"""The look-ups before an assessment, in batches."""

from risk.clients.calls import CHUNK
from risk.clients.identities import Identities, KnownFirst, Kyc, MemoryIdentities
from risk.clients.look_ups import LookUps
from risk.clients.models import Fraud, MemoryModels, Models
from risk.clients.payers import MemoryPayers, PayerNames, Payers
from risk.clients.rules import Compliance, MemoryRules
from risk.clients.sanctions import Match, MemorySanctionsList, NamedParty, Ofac, SanctionsList

__all__ = [
    "CHUNK",
    "Compliance",
    "Fraud",
    "Identities",
    "KnownFirst",
    "Kyc",
    "LookUps",
    "Match",
    "MemoryIdentities",
    "MemoryModels",
    "MemoryPayers",
    "MemoryRules",
    "MemorySanctionsList",
    "Models",
    "NamedParty",
    "Ofac",
    "PayerNames",
    "Payers",
    "SanctionsList",
]
