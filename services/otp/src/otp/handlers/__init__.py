"""What otp does with requests for a code, with codes that are tried, and with locked users."""

from otp.handlers.codes import Codes, Rules
from otp.handlers.issuing import on_challenge_requested
from otp.handlers.judging import on_verification_requested
from otp.handlers.unlocking import Unlocking

__all__ = [
    "Codes",
    "Rules",
    "Unlocking",
    "on_challenge_requested",
    "on_verification_requested",
]
