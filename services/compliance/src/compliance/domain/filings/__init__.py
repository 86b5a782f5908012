"""Drafts of reports to FinCEN, as XML of its batch filing. Nothing here is sent anywhere.

Source: FinCEN's XML user guides, and its schemas for CTR and SAR batches, version 1.2.
"""

from compliance.domain.filings.ctr import ctr_of
from compliance.domain.filings.evidence import EvidencePayment, Filing
from compliance.domain.filings.parties import DEMONSTRATION, Filer
from compliance.domain.filings.sar import sar_of

__all__ = ["DEMONSTRATION", "EvidencePayment", "Filer", "Filing", "ctr_of", "sar_of"]
