"""Handlers of otp: issue codes, verify codes, unlock users."""

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
