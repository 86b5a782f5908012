"""Memory twins of confirm and settlement: commands with their replies, reads, keys."""

import asyncio

from service_runtime.errors import Unavailable
from service_runtime.keys import KeyRing
from service_runtime.sealing import key_set


class MemoryConfirmation:
    """Replies to commands by a function; without `reachable` there is no broker."""

    def __init__(self, answer):
        self._answer = answer
        self.reachable = True
        self.is_full = False
        self.sent = []

    async def ask(self, command, trace, within_s):
        if not self.reachable:
            raise Unavailable("no broker")
        self.sent.append((command, trace))
        answer = self._answer(command)
        if answer is None:
            await asyncio.sleep(within_s)
        return answer


class MemoryKeySet:
    """The published keys of a ring; None where its service does not respond."""

    def __init__(self):
        self.ring = KeyRing(b"k" * 32)

    async def published(self):
        if self.ring is None:
            raise Unavailable("no keys are published")
        return key_set(self.ring)


class MemoryReads:
    """Payments by user and transaction; without `reachable` there is no confirm."""

    def __init__(self):
        self.payments = {}
        self.reachable = True
        self.count = 0

    async def while_reading(self):
        """What happens before the response of a read arrives."""

    async def payment(self, user_id, transaction_id):
        if not self.reachable:
            raise Unavailable("no confirm responds")
        self.count += 1
        found = self.payments.get((user_id, transaction_id))
        await self.while_reading()
        return found
