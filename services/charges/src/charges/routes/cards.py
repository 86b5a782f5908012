"""Cards: encrypted card data in, a token out. No route returns a number, or takes it in clear.

The encryption is that of confirmations (decision 0037), under keys of charges alone.
"""

import asyncio
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from charges.domain.cards import Card, CardData, InvalidCardError, card_of
from charges.domain.provisions import Provision, ProvisionStatus
from charges.routes.api import Api, within
from charges.routes.bodies import REFUSALS, Envelope
from charges.store import Cards
from payment_schemas.encrypted import ENCRYPTED_TYPE, EncryptedContent
from payment_schemas.events.record import AuditRecorded
from service_runtime.edge import Caller
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause, Emit
from service_runtime.postgres import PostgresTransaction
from service_runtime.web import JsonResponse

CARDS_PATH = "/api/v1/cards"
DELETED = "CARD_DELETED"
JOSE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {ENCRYPTED_TYPE: {"schema": {"type": "string"}}},
    }
}
_REFUSALS = REFUSALS | {415: {"description": "The body is not application/jose."}}


def add_cards(router: APIRouter, api: Api) -> None:
    """Add the routes of the vault."""
    Writer = Annotated[Caller, api.writer()]  # noqa: N806 - a type
    Reader = Annotated[Caller, api.reader()]  # noqa: N806 - a type

    @router.get(f"{CARDS_PATH}/keys")
    async def keys() -> Response:
        """Return the public keys that card data is encrypted under (RFC 7517)."""
        return JsonResponse(api.vault.published())

    @router.post(
        CARDS_PATH,
        status_code=201,
        response_model=Envelope,
        responses=_REFUSALS,
        openapi_extra=JOSE,
    )
    async def add(request: Request, caller: Writer) -> Response:
        """Keep a card, and return its token.

        The body is a compact JWE whose content has the fields `cardNumber`, `expiryMonth` and
        `expiryYear`, and `cvc` as an option.
        """
        content = await opened(api, request, caller)
        card, data = await kept(api, request, caller, content)
        return JsonResponse({"success": True, "data": data | card.shown()}, 201)

    @router.get(CARDS_PATH + "/{token}", response_model=Envelope, responses=REFUSALS)
    async def card(caller: Reader, token: str) -> Response:
        """Return a card without its number, and the providers that may charge it."""
        async with api.database.transaction() as tx:
            card = await Cards(tx).of_token(token)
            rows = await Cards(tx).provisions(card.id) if card else []
        if card is None or card.user_id != caller.user_id:
            raise HTTPException(404, f"Unknown card: {token[:64]}")
        refuse_deleted(card)
        return JsonResponse({"success": True, "data": _state_of(rows) | card.shown()})

    @router.delete(CARDS_PATH + "/{token}", response_model=Envelope, responses=REFUSALS)
    async def remove(request: Request, caller: Writer, token: str) -> Response:
        """Delete a card: its number at once, and then the providers' tokens of it.

        A repeat has the same response. 409 while a payment with the card has not ended.
        """

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            return await _removed(Cards(tx), caller, token, cause, api.clock.now())

        response = await api.requests.run(request, caller.user_id, act)
        api.wake_cards()
        return response


async def _removed(cards: Cards, caller: Caller, token: str, cause: Cause, now: datetime) -> Reply:
    card = await cards.locked(token, caller.user_id)
    if card is None:
        return Reply({"error": f"Unknown card: {token[:64]}"}, 404)
    if card.deleted_at is None and await cards.is_in_use(token):
        details = "A payment with it has not ended; cancel it, or repeat this later"
        return Reply({"error": "Card is in use", "details": details}, 409)
    body = {"token": token, "status": "deleted", "deletedAt": card.deleted_at or now}
    events: list[Emit] = []
    if card.deleted_at is None:
        await cards.delete(card.id, now)
        events = [Emit(AuditRecorded(actor=caller.user_id, action=DELETED, about=token), cause)]
    return Reply({"success": True, "data": body}, events=events)


def refuse_deleted(card: Card) -> None:
    """Answer 410 for a card that its owner has deleted."""
    if card.deleted_at is not None:
        raise HTTPException(410, deleted_body(card))


def deleted_body(card: Card) -> dict[str, str]:
    """Return what is said of a deleted card to its owner."""
    return {"error": "Card was deleted", "details": f"by its owner, at {card.deleted_at}"}


async def opened(api: Api, request: Request, caller: Caller) -> EncryptedContent:
    """Return what is encrypted in the body; 415 for another type, 400 where it cannot be opened."""
    if not is_encrypted(request):
        raise HTTPException(415, f"Content-Type must be {ENCRYPTED_TYPE}")
    text = (await request.body()).decode("ascii", "replace")
    return await api.vault.opened(text, caller.user_id, api.clock.now())


def is_encrypted(request: Request) -> bool:
    """Whether the body is declared to be a JWE."""
    declared = request.headers.get("content-type", "")
    return declared.partition(";")[0].strip().lower() == ENCRYPTED_TYPE


def valid_card(api: Api, fields: dict[str, Any]) -> CardData:
    """Return the card of a request; answer 400 with the field, never with its value."""
    try:
        return card_of(fields, api.clock.now())
    except InvalidCardError as error:
        body = {"error": f"Invalid field: {error.field}", "details": str(error)}
        raise HTTPException(400, body) from None


async def kept(
    api: Api, request: Request, caller: Caller, content: EncryptedContent
) -> tuple[Card, dict[str, Any]]:
    """Keep a card and have the providers store it; a repeat of the request is the same card.

    The card's code is in memory until this returns, and nowhere else.
    """
    data = valid_card(api, content.fields)
    card = _new_card(api, caller, data)
    kid, sealed = await api.vault.seal(data.number, card.id, card.created_at)
    found: list[Card] = []

    async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
        cards = Cards(tx)
        found.append(await cards.add(card, kid, sealed, content.token_id))
        if found[-1].id == card.id:
            await cards.provide(_rows(api, card.id), cause.trace)
        return Reply({})

    with api.codes.keep(card.id, data.code):
        # Not stored by Idempotency-Key: `jti` is the request's own.
        await api.requests.run(request, caller.user_id, act, is_stored=False)
        api.wake_cards()
        refuse_deleted(found[-1])
        return found[-1], await _provided(api, found[-1].id)


def _new_card(api: Api, caller: Caller, data: CardData) -> Card:
    return Card(
        id=api.clock.new_id(),
        token=f"tok_{api.clock.new_id().hex}",
        user_id=caller.user_id,
        network=data.network,
        last4=data.last4,
        expiry=data.expiry,
        fingerprint=api.vault.fingerprint(data.number, caller.user_id),
        created_at=api.clock.now(),
    )


def _rows(api: Api, card_id: UUID) -> list[Provision]:
    now = api.clock.now()
    return [Provision(api.clock.new_id(), card_id, name, now) for name in api.providers]


async def _provided(api: Api, card_id: UUID) -> dict[str, Any]:
    """Return where a card is stored, once that is known of every provider or the time is over."""
    until_s = asyncio.get_running_loop().time() + api.answer_within_s
    changed = asyncio.Event()
    with api.waiting.on(card_id, changed):
        while True:
            changed.clear()
            async with api.database.transaction() as tx:
                rows = await Cards(tx).provisions(card_id)
            left_s = until_s - asyncio.get_running_loop().time()
            if left_s <= 0 or not _is_pending(rows):
                return _state_of(rows)
            await within(left_s, changed)


def _is_pending(rows: list[Provision]) -> bool:
    return any(row.status is ProvisionStatus.PENDING for row in rows)


def _state_of(rows: list[Provision]) -> dict[str, Any]:
    """Return whether a card can be charged: ready, pending or refused."""
    ready = [row.provider for row in rows if row.status is ProvisionStatus.STORED]
    status = "ready" if ready else "pending" if _is_pending(rows) else "refused"
    return {"status": status, "providers": ready}
