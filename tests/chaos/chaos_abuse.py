"""Clients that behave badly: a hundred at once under one key, codes tried out, one hot account."""

import asyncio
import dataclasses

from chaos_arena import Arena, until
from chaos_clients import Clients, Payment

from testkit.edge import CODE, Customer

AT_ONCE = 100
CODES_AT_ONCE = 50
GUESSES = 20
"""Four challenges' worth, at once."""
HOT_PAYMENTS = 100
ASKED_WITHIN_S = 60


async def duplicates(arena: Arena, count: int) -> str:
    """Send a hundred equal requests at once, for so many keys."""
    for number, customer in enumerate(await arena.customers(count)):
        payment = _payment(f"{customer.account}-twin", customer, number)
        arena.clients.paid.append(payment)
        await asyncio.gather(*(arena.clients.send(payment) for _ in range(AT_ONCE)))
        await arena.clients.until_final(payment)
    return f"{AT_ONCE} at once for each of {count} keys"


async def codes(arena: Arena, count: int) -> str:
    """Send the right code 50 times at once; and guess, more often than is looked at."""
    for customer in await arena.customers(count):
        right = _challenged(f"{customer.account}-right", customer)
        guessed = _challenged(f"{customer.account}-guessed", customer)
        for payment in (right, guessed):
            arena.clients.paid.append(payment)
            await _until_asked(arena.clients, payment)
        good = (arena.clients.send(right, otp_code=CODE) for _ in range(CODES_AT_ONCE))
        wrong = (arena.clients.send(guessed, otp_code=f"{number:06}") for number in range(GUESSES))
        await asyncio.gather(*good, *wrong)
        await arena.clients.until_final(right)
        await arena.clients.until_final(guessed)
    return f"{CODES_AT_ONCE} right ones and {GUESSES} guesses at once, {count} times"


async def hot_accounts(arena: Arena, count: int) -> str:
    """Let everybody pay from one account to one payee at once."""
    for customer in await arena.customers(count):
        payments = [
            _payment(f"{customer.account}-hot-{number}", customer, number)
            for number in range(HOT_PAYMENTS)
        ]
        arena.clients.paid += payments
        await asyncio.gather(*(arena.clients.until_final(payment) for payment in payments))
    return f"{HOT_PAYMENTS} payments at once, no deadlock"


async def _until_asked(clients: Clients, payment: Payment) -> None:
    async def asked() -> bool:
        answer = await clients.send(payment)
        return answer is not None and answer.status_code == 403

    await until(asked, ASKED_WITHIN_S, f"{payment.transaction_id} is not asked for a code")


def _payment(transaction_id: str, customer: Customer, number: int) -> Payment:
    return Payment(transaction_id, customer, "plain", "once", 10_00 + number, "payee-known")


def _challenged(transaction_id: str, customer: Customer) -> Payment:
    plain = _payment(transaction_id, customer, 0)
    return dataclasses.replace(
        plain, kind="code", amount_minor=5_200_00, payee=f"payee-{transaction_id}"
    )
