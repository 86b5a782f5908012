"""Otp's tables: challenges, verifications, users and refusals."""

from otp.store.memory import MemoryChallenges
from otp.store.port import Challenges, Verification
from otp.store.postgres import PostgresChallenges

__all__ = ["Challenges", "MemoryChallenges", "PostgresChallenges", "Verification"]
