"""One list of decline codes for all providers, each soft or hard.

Soft: another provider may accept the charge. Hard: the card or its issuer forbids it, and card
schemes fine repeated tries. Sources: Stripe's decline codes, Adyen's refusal reasons.
"""

from collections.abc import Mapping
from types import MappingProxyType

from charges.domain.replies import Kind, Reply

SOFT = frozenset(
    {
        "do_not_honor",
        "insufficient_funds",
        "issuer_unavailable",
        "processing_error",
        "limit_exceeded",
        "declined",
    }
)
HARD = frozenset(
    {
        "lost_or_stolen",
        "expired_card",
        "invalid_card",
        "fraud_suspected",
        "not_permitted",
        "authentication_required",
    }
)
UNLISTED = "declined_unlisted"
"""A code that the list lacks: hard, so that nothing is tried again on a guess."""

STRIPE: Mapping[str, str] = MappingProxyType(
    {
        "do_not_honor": "do_not_honor",
        "generic_decline": "declined",
        "call_issuer": "do_not_honor",
        "try_again_later": "issuer_unavailable",
        "issuer_not_available": "issuer_unavailable",
        "reenter_transaction": "issuer_unavailable",
        "processing_error": "processing_error",
        "insufficient_funds": "insufficient_funds",
        "card_velocity_exceeded": "limit_exceeded",
        "withdrawal_count_limit_exceeded": "limit_exceeded",
        "lost_card": "lost_or_stolen",
        "stolen_card": "lost_or_stolen",
        "pickup_card": "lost_or_stolen",
        "expired_card": "expired_card",
        "incorrect_number": "invalid_card",
        "invalid_number": "invalid_card",
        "invalid_account": "invalid_card",
        "incorrect_cvc": "invalid_card",
        "fraudulent": "fraud_suspected",
        "merchant_blacklist": "fraud_suspected",
        "transaction_not_allowed": "not_permitted",
        "restricted_card": "not_permitted",
        "card_not_supported": "not_permitted",
        "currency_not_supported": "not_permitted",
        "authentication_required": "authentication_required",
    }
)
ADYEN: Mapping[str, str] = MappingProxyType(
    {
        "2": "declined",
        "3": "do_not_honor",
        "4": "processing_error",
        "5": "lost_or_stolen",
        "6": "expired_card",
        "8": "invalid_card",
        "9": "issuer_unavailable",
        "10": "not_permitted",
        "11": "authentication_required",
        "12": "insufficient_funds",
        "14": "fraud_suspected",
        "20": "fraud_suspected",
        "22": "not_permitted",
        "23": "not_permitted",
        "24": "invalid_card",
        "25": "not_permitted",
        "26": "do_not_honor",
        "27": "do_not_honor",
        "28": "limit_exceeded",
        "29": "limit_exceeded",
        "31": "fraud_suspected",
        "38": "authentication_required",
    }
)
"""Adyen's `refusalReasonCode`."""


def declined(codes: Mapping[str, str], code: str | None, reference: str | None = None) -> Reply:
    """Return the reply of a decline with a provider's own code."""
    listed = codes.get(code or "", UNLISTED)
    return Reply(Kind.DECLINED, listed, is_soft=listed in SOFT, reference=reference)
