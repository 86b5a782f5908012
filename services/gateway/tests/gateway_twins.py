"""Memory twins of confirm: commands with their replies, and reads."""

import asyncio

from service_runtime.errors import Unavailable


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


class MemoryReads:
    """Payments by user and transaction; without `reachable` there is no confirm."""

    def __init__(self):
        self.payments = {}
        self.reachable = True

    async def payment(self, user_id, transaction_id):
        if not self.reachable:
            raise Unavailable("no confirm responds")
        return self.payments.get((user_id, transaction_id))
