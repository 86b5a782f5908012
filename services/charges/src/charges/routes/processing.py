"""`processPayment` of native-payments-api.md over HTTP: its actions, fields and responses.

Card data comes encrypted alone, and a token leaves: what the document calls `encryptedData` is the
token, and `decrypt_card_data` is refused.
"""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from charges.domain import acts
from charges.domain.cards import FIELDS
from charges.domain.charge import Goal, Status
from charges.domain.ids import charge_id_of, payment_id
from charges.routes.api import REFUSED, Api
from charges.routes.bodies import Amount, Pay, Text
from charges.routes.cards import JOSE, is_encrypted, kept, opened, valid_card
from charges.routes.changes import changed_by, on_charge
from charges.routes.payments import charge_once
from charges.store import Charges
from payment_schemas.confirm_body import JsonNumber
from payment_schemas.encrypted import EncryptedContent
from payment_schemas.money import Currency
from service_runtime.edge import Caller
from service_runtime.web import JsonResponse

PROCESS_PATH = "/api/v1/payments/process"
NEVER_DECRYPTED = "Card data is never returned: its token stands for it wherever a card is needed"
UNKNOWN = "PAYMENT_NOT_FOUND"
IN_CLEAR = "Card data must be encrypted: Content-Type application/jose, under /api/v1/cards/keys"
_STATUS = {"success": "COMPLETED", "processing": "PROCESSING", "cancelled": "CANCELLED"}
_STATUS |= {"authorized": "PENDING", "review": "PENDING"}
_FACTS = ("customerId", "providerId", "bookingId", "serviceId", "paymentMethod")
_TAKEN, NOT_FOUND = 300, 404


def _from_text(value: Any) -> Any:
    """Return an object that is printed as a JSON text, as GraphQL has it."""
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return value


Metadata = Annotated[dict[Text, Text], Field(max_length=10), BeforeValidator(_from_text)]


class Process(BaseModel):
    """A request, as native-payments-api.md prints it; its card data was taken out before."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    action: Literal[
        "process_payment",
        "encrypt_card_data",
        "decrypt_card_data",
        "validate_payment",
        "get_payment_status",
        "cancel_payment",
    ]
    paymentId: str | None = None  # noqa: N815 - the printed name
    amount: Amount | None = None
    currency: Currency = "USD"
    customerId: Text | None = None  # noqa: N815 - the printed name
    providerId: Text | None = None  # noqa: N815 - the printed name
    bookingId: Text | None = None  # noqa: N815 - the printed name
    serviceId: Text | None = None  # noqa: N815 - the printed name
    encryptedCardData: str | None = None  # noqa: N815 - the printed name
    """A card's token."""
    paymentMethod: Literal["card"] = "card"  # noqa: N815 - the printed name
    metadata: Metadata = {}


def add_processing(router: APIRouter, api: Api) -> None:
    """Add the route."""
    Writer = Annotated[Caller, api.writer()]  # noqa: N806 - a type

    @router.post(PROCESS_PATH, openapi_extra=JOSE)
    async def process(request: Request, caller: Writer) -> Response:
        """Act on a payment or a card, by `action`; card data is a compact JWE, or its token."""
        try:
            return await _Process(api, request, caller).run()
        except HTTPException as error:
            return _refused(api, error)


class _Process:
    """One request."""

    def __init__(self, api: Api, request: Request, caller: Caller) -> None:
        self._api, self._request, self._caller = api, request, caller
        self._content: EncryptedContent | None = None
        self._card: dict[str, Any] = {}

    async def run(self) -> Response:
        fields = await self._fields()
        match fields.action:
            case "decrypt_card_data":
                raise HTTPException(403, NEVER_DECRYPTED)
            case "encrypt_card_data":
                token = (await self._kept())["token"]
                return self._done(encryptedData=token)
            case "validate_payment":
                valid_card(self._api, self._card)
                return self._done()
            case "get_payment_status":
                return await self._status(fields)
            case "cancel_payment":
                return await self._cancel(fields)
            case _:
                return await self._pay(fields)

    async def _fields(self) -> Process:
        if is_encrypted(self._request):
            self._content = await opened(self._api, self._request, self._caller)
            found = {name: _plain(value) for name, value in self._content.fields.items()}
            found.pop("transaction_id", None)
        else:
            found = _object(await self._request.body())
            if FIELDS & found.keys():
                raise HTTPException(400, IN_CLEAR)
        self._card = {name: found.pop(name) for name in FIELDS & found.keys()}
        try:
            return Process.model_validate(found)
        except ValidationError as error:
            name = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise HTTPException(400, f"Invalid field: {name}") from None

    async def _kept(self) -> dict[str, Any]:
        if self._content is None:
            raise HTTPException(400, IN_CLEAR)
        content = EncryptedContent(self._content.token_id, self._card)
        card, state = await kept(self._api, self._request, self._caller, content)
        return {**card.shown(), **state}

    async def _pay(self, fields: Process) -> Response:
        if fields.amount is None:
            raise HTTPException(400, "Invalid field: amount")
        source = fields.encryptedCardData or (await self._kept())["token"]
        facts = {name: value for name in _FACTS if (value := getattr(fields, name))}
        body = Pay.model_construct(
            amount=fields.amount,
            currency=fields.currency,
            source=source,
            email="",
            metadata=fields.metadata | facts,
        )
        # The request's `jti` makes a repeat of it the same payment, as an Idempotency-Key does.
        key = f"jti:{self._content.token_id}" if self._content else None
        response = await charge_once(self._api, self._request, self._caller, body, key)
        answer = orjson.loads(response.body)
        if "transactionId" not in answer:
            raise HTTPException(response.status_code, answer.get("error", "Refused"))
        return await self._shown(answer["transactionId"], answer["status"], response.status_code)

    async def _status(self, fields: Process) -> Response:
        return await self._shown(_transaction(fields), None, 200)

    async def _cancel(self, fields: Process) -> Response:
        api, transaction = self._api, _transaction(fields)
        if charge_id_of(transaction) is None:
            raise HTTPException(404, UNKNOWN)
        act = changed_by(lambda charge: acts.cancel(charge, api.clock.now()), api)
        on = on_charge(self._caller, transaction, act)
        response = await api.run(self._request, self._caller.user_id, on)
        if response.status_code == NOT_FOUND:
            raise HTTPException(404, UNKNOWN)
        if response.status_code >= REFUSED:
            raise HTTPException(response.status_code, orjson.loads(response.body))
        return await self._shown(transaction, None, response.status_code)

    async def _shown(self, transaction_id: str, outcome: str | None, status: int) -> Response:
        charge_id = charge_id_of(transaction_id)
        async with self._api.database.transaction() as tx:
            found = charge_id and await Charges(tx).found(charge_id, self._caller.user_id)
        if not charge_id or not found:
            raise HTTPException(404, UNKNOWN)
        charge, row = found
        if charge.goal is Goal.VOID:
            # The outcome is that of the authorization, and does not change.
            outcome = "cancelled" if charge.status is Status.CANCELLED else "processing"
        shown = _STATUS.get(outcome or row["outcome"] or "processing", "FAILED")
        body = {
            "paymentId": payment_id(charge_id),
            "transactionId": transaction_id,
            "status": shown,
            "amount": charge.money.amount_minor,
            "currency": charge.money.currency,
            # The merchant gets the whole amount; what the provider costs is ours (decision 0043).
            "fees": 0,
            "netAmount": charge.money.amount_minor,
            "fraudScore": None,
            "fraudRecommendation": "REVIEW",
        }
        if status >= _TAKEN:
            body["error"] = charge.code
        return self._done(status, is_done=status < _TAKEN, **body)

    def _done(self, status: int = 200, /, *, is_done: bool = True, **fields: Any) -> Response:
        at = self._api.clock.now()
        return JsonResponse({"success": is_done, **fields, "timestamp": at}, status)


def _refused(api: Api, error: HTTPException) -> Response:
    detail: Any = error.detail
    if isinstance(detail, dict):
        detail = ": ".join(str(detail[name]) for name in ("error", "details") if name in detail)
    body = {"success": False, "error": detail, "timestamp": api.clock.now()}
    return JsonResponse(body, error.status_code)


def _transaction(fields: Process) -> str:
    """Return the id of the payment; each payment has both ids."""
    return (fields.paymentId or "").replace("pay_", "txn_", 1)


def _plain(value: Any) -> Any:
    """Return a field as JSON has it: an amount is an integer, or it is refused."""
    is_integer = isinstance(value, JsonNumber) and value.isascii() and value.isdigit()
    return int(value) if is_integer else value


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise HTTPException(400, "The body must be a JSON object")
    return found
