"""Misbehaving clients: a hundred requests with one key, guessed codes, one hot account."""

import asyncio
import dataclasses
from collections.abc import Awaitable

from chaos_arena import Arena, NotHealedError, until
from chaos_clients import WITH_CODE_MINOR, Clients, Payment, again_after_s, is_final

from testbed.edge import CODE, Customer

AT_ONCE = 100
CODES_AT_ONCE = 50
GUESSES = 100
PAYMENTS_AT_ONCE = 10
HOT_PAYMENTS = 100
ASKED_WITHIN_S = 120
"""Longer than the limiter's window of a minute."""


async def duplicates(arena: Arena, count: int) -> str:
    """Send a hundred equal requests at once, for several keys."""
    for number, customer in enumerate(await arena.customers(count)):
        payment = _payment(f"{customer.account}-twin", customer, number)
        arena.clients.paid.append(payment)
        await asyncio.gather(*(arena.clients.send(payment) for _ in range(AT_ONCE)))
        await arena.clients.until_final(payment)
    return f"{AT_ONCE} at once for each of {count} keys"


async def codes(arena: Arena, count: int) -> str:
    """Send the correct code 50 times at once; and guess more often than is allowed."""
    lanes = asyncio.Semaphore(PAYMENTS_AT_ONCE)
    kinds = (_right_codes, _guesses) * count
    async with asyncio.TaskGroup() as group:
        for try_out, customer in zip(kinds, await arena.customers(2 * count), strict=True):
            group.create_task(_in_lane(lanes, try_out(arena.clients, customer)))
    return f"{CODES_AT_ONCE} right ones and {GUESSES} guesses at once, of {count} payments each"


async def _right_codes(clients: Clients, customer: Customer) -> None:
    payment = await _challenged(clients, customer)
    every = (clients.send(payment, "code", otp_code=CODE) for _ in range(CODES_AT_ONCE))
    await asyncio.gather(*every)
    await clients.until_final(payment)


async def _guesses(clients: Clients, customer: Customer) -> None:
    """Guess concurrently, where most get 429; then one by one, until no challenge is left."""
    payment = await _challenged(clients, customer)
    payment.kind = "guessed"
    every = (clients.send(payment, "guess", otp_code=f"{n:06}") for n in range(GUESSES))
    await asyncio.gather(*every)
    for number in range(GUESSES, 2 * GUESSES):
        answer = await clients.send(payment, "guess", otp_code=f"{number:06}")
        if is_final(answer):
            return
        if answer is None or answer.status_code not in {401, 403}:
            await asyncio.sleep(again_after_s(answer))
        elif answer.status_code == 401:
            await _open_challenge(clients, payment)
    raise NotHealedError(f"I10 {payment.transaction_id}: a hundred further guesses do not end it")


async def _in_lane(lanes: asyncio.Semaphore, work: Awaitable[None]) -> None:
    async with lanes:
        await work


async def hot_accounts(arena: Arena, count: int) -> str:
    """Make all customers pay from one account to one payee at once."""
    for customer in await arena.customers(count):
        payments = [
            _payment(f"{customer.account}-hot-{number}", customer, number)
            for number in range(HOT_PAYMENTS)
        ]
        arena.clients.paid += payments
        await asyncio.gather(*(arena.clients.until_final(payment) for payment in payments))
    return f"{HOT_PAYMENTS} payments at once, no deadlock"


async def _challenged(clients: Clients, customer: Customer) -> Payment:
    """Return a payment that needs a code now."""
    plain = _payment(f"{customer.account}-code", customer, 0)
    payee = f"payee-{customer.account}"
    payment = dataclasses.replace(plain, kind="code", amount_minor=WITH_CODE_MINOR, payee=payee)
    clients.paid.append(payment)

    async def asked() -> bool:
        answer = await clients.send(payment)
        return answer is not None and answer.status_code == 403

    await until(asked, ASKED_WITHIN_S, f"{payment.transaction_id} needs no code")
    return payment


async def _open_challenge(clients: Clients, payment: Payment) -> None:
    """Send the request without a code, which opens the next challenge after an ended one.

    Guesses may have used up the rate limit, so this request must be accepted first.
    """
    async with asyncio.timeout(ASKED_WITHIN_S):
        answer = await clients.send(payment)
        while answer is None or answer.status_code == 429:
            await asyncio.sleep(again_after_s(answer))
            answer = await clients.send(payment)


def _payment(transaction_id: str, customer: Customer, number: int) -> Payment:
    return Payment(transaction_id, customer, "plain", "once", 10_00 + number, "payee-known")
