"""The OpenAPI description of the edge, by hand: its routes bypass FastAPI's models for speed."""

from typing import Any

from payment_schemas.encrypted import (
    EC_ALGORITHM,
    ENCRYPTED_TYPE,
    KEYS_PATH,
    MAX_ENCRYPTED_BYTES,
    RSA_ALGORITHM,
)
from payment_schemas.ids import IDENTIFIER_PATTERN

_ID = {
    "type": "string",
    "pattern": IDENTIFIER_PATTERN.replace("^", "^(?=.*[A-Za-z0-9])"),
    "description": "At least one letter or digit; no card number.",
}
_TEXT = {"type": "string"}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


_BODY = _object(
    ["transaction_id"],
    transaction_id=_ID,
    idempotency_key={
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "description": "Required here or as the header Idempotency-Key; both must agree. No card"
        " number.",
    },
    amount={
        "oneOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}],
        "description": "Major units: at most 12 digits before the point, and no more decimals than"
        " the currency has (zeros count). Required for the first call of a transaction.",
    },
    currency={
        "type": "string",
        "pattern": "^[A-Z]{3}$",
        "default": "USD",
        "description": "ISO 4217; the account's currency, and one that the platform supports.",
    },
    from_account=_ID,
    to_account=_ID,
    to_name={
        "type": "string",
        "minLength": 1,
        "maxLength": 140,
        "description": "The payee's name, for sanctions screening: letters and marks of every"
        " script, digits, spaces and .,'-&/()+. It is passed on sealed.",
    },
    otp_code={"type": "string", "pattern": "^[0-9]{6}$"},
    instrument={
        "enum": ["ACCOUNT", "CASH"],
        "description": "What funds the payment: the account's balance (without the field), or cash"
        " that the payer hands in. The first request's counts.",
    },
    branch={**_ID, "description": "Where cash was handed in. The first request's counts."},
)
_SUCCESS = _object(
    ["status", "transaction_id", "reference", "settlement_method"],
    status={"const": "SUCCESS"},
    transaction_id=_ID,
    reference={"type": "string", "pattern": "^[0-9A-HJKMNP-TV-Z]{10}$"},
    settlement_method=_TEXT,
)
_PENDING = _object(["status", "transaction_id"], status={"const": "PENDING"}, transaction_id=_ID)
_OTP_REQUIRED = _object(
    ["status", "message", "expires_in"],
    status={"const": "OTP_REQUIRED"},
    message=_TEXT,
    expires_in={"type": "integer", "description": "Seconds left."},
)
_OTP_UNDELIVERABLE = _object(
    ["status", "message"], status={"const": "OTP_UNDELIVERABLE"}, message=_TEXT
)
_DECLINED = _object(
    ["status", "transaction_id", "reason"],
    status={"const": "DECLINED"},
    transaction_id=_ID,
    reason={"enum": ["insufficient_funds", "not_permitted", "otp_exhausted", "timed_out"]},
)
_ERROR = _object(["error"], error=_TEXT, details=_TEXT)
_KEYS = _object(
    ["keys"],
    keys={
        "type": "array",
        "items": _object(
            ["kty", "crv", "alg", "use", "kid", "x"],
            kty={"const": "OKP"},
            crv={"const": "Ed25519"},
            alg={"const": "EdDSA"},
            use={"const": "sig"},
            kid=_TEXT,
            x=_TEXT,
        ),
    },
)
_FOR_ENCRYPTION = {"use": {"const": "enc"}, "kid": _TEXT}
_EC_KEY = _object(
    ["kty", "crv", "x", "y", "use", "alg", "kid"],
    kty={"const": "EC"},
    crv={"const": "P-256"},
    x=_TEXT,
    y=_TEXT,
    alg={"const": EC_ALGORITHM},
    **_FOR_ENCRYPTION,
)
_RSA_KEY = _object(
    ["kty", "n", "e", "use", "alg", "kid"],
    kty={"const": "RSA"},
    n=_TEXT,
    e=_TEXT,
    alg={"const": RSA_ALGORITHM},
    **_FOR_ENCRYPTION,
)
_ENCRYPTED = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){4}$",
    "maxLength": MAX_ENCRYPTED_BYTES,
    "description": "The body as a compact JWE for the confirm service (RFC 7516), with the header"
    " Idempotency-Key; see docs/clients/encryption.md.",
}
_PAYMENT = _object(
    ["transaction_id", "status", "settlement_status", "amount", "currency"],
    transaction_id=_ID,
    status={"enum": ["PENDING", "OTP_REQUIRED", "SUCCESS", "DECLINED"]},
    reference={"type": ["string", "null"]},
    settlement_method={"type": ["string", "null"]},
    settlement_status={
        "enum": ["NONE", "PENDING", "SENT", "SETTLED", "REJECTED", "UNKNOWN", "RECONCILE"]
    },
    amount=_TEXT,
    currency=_TEXT,
    from_account=_ID,
    to_account=_ID,
    reason={"type": ["string", "null"]},
    created_at={"type": "string", "format": "date-time"},
    updated_at={"type": "string", "format": "date-time"},
)


def _answer(description: str, *schemas: dict[str, Any]) -> dict[str, Any]:
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": list(schemas)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_OTHER_KEY = _object(
    ["status", "transaction_id"],
    status={"enum": ["PENDING", "OTP_REQUIRED", "SUCCESS", "DECLINED"]},
    transaction_id=_ID,
)
_REFUSALS = {
    "400": _answer(
        "A field is missing, invalid or unknown; or the encrypted request is refused.", _ERROR
    ),
    "401": _answer("No token or an invalid one; or the code does not match.", _ERROR),
    "404": _answer("Unknown account, or another user's.", _ERROR),
    "408": _answer("The head or body took over 10 seconds; the connection is closed.", _ERROR),
    "409": _answer("In progress, or known under another key.", _ERROR, _OTHER_KEY),
    "413": _answer("Over 16 KiB.", _ERROR),
    "415": _answer(
        "Neither application/json nor application/jose; or not encrypted, where the"
        " gateway demands it.",
        _ERROR,
    ),
    "422": _answer("The key belongs to a different request.", _ERROR),
    "429": _answer("Over the limit of requests, or of codes; see Retry-After.", _ERROR),
    "431": _answer("Over 16 KiB or 64 lines of header; the connection is closed.", _ERROR),
    "500": _answer("Internal error.", _ERROR),
    "503": _answer("Nothing was accepted; see Retry-After.", _ERROR),
}


def _refused(*statuses: str) -> dict[str, Any]:
    return {status: _REFUSALS[status] for status in statuses}


def _published(summary: str, operation: str, description: str, keys: Any) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": operation,
        "security": [],
        "responses": {"200": _answer(description, keys), **_refused("408", "431", "500", "503")},
    }


_PARTNER_KEYS = _published(
    "Read the public keys of messages to partner banks",
    "readPartnerKeys",
    "A JWK set (RFC 7517), the current key first.",
    _KEYS,
)
_ENCRYPTION_KEYS = _published(
    "Read the public keys that confirmations are encrypted under",
    "readEncryptionKeys",
    "A JWK set (RFC 7517): encrypt under the first key of a type, preferably EC.",
    _object(["keys"], keys={"type": "array", "items": {"oneOf": [_EC_KEY, _RSA_KEY]}}),
)

_EVENTS = {
    "summary": "Follow a payment: server-sent events",
    "description": "Each event `status` has the body of a read as its data, and as its id a number"
    " that grows with every change. The stream ends after the last status, or with the event"
    " `closing` (its data is the reason: `stopping`, `slow`, `gap` or `expired`): reconnect after"
    " `retry` milliseconds, with the last id. A comment is sent at least every 15 seconds.",
    "operationId": "followPayment",
    "parameters": [
        {"name": "transaction_id", "in": "path", "required": True, "schema": _ID},
        {
            "name": "Last-Event-ID",
            "in": "header",
            "schema": {"type": "string"},
            "description": "The last id that was received: what the client has seen is not sent"
            " again.",
        },
    ],
    "responses": {
        "200": {
            "description": "The stream.",
            "content": {"text/event-stream": {"schema": _TEXT}},
        },
        "204": {"description": "The client has seen the last status: it need not reconnect."},
        "403": _answer("The token lacks the scope.", _ERROR),
        **_refused("401", "404", "408", "429", "431", "500", "503"),
    },
}
_SOCKET = {
    "summary": "Follow payments: WebSocket",
    "description": "See docs/clients/live-status.md. The token is in `Authorization`, in an offered"
    " protocol `bearer.<token>` beside `countersign.v1`, or in the first message.",
    "operationId": "openSocket",
    "security": [{"bearer": []}, {}],
    "responses": {
        "101": {"description": "The connection is a WebSocket (RFC 6455)."},
        "426": _answer("The request offers no WebSocket.", _ERROR),
        **_refused("408", "431", "500", "503"),
    },
}


def document(title: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the edge."""
    confirm = {
        "summary": "Confirm a payment",
        "operationId": "confirmPayment",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _BODY},
                ENCRYPTED_TYPE: {"schema": _ENCRYPTED},
            },
        },
        "responses": {
            "200": _answer("Confirmed.", _SUCCESS),
            "202": _answer("Not decided yet; Location shows the state.", _PENDING),
            "403": _answer(
                "A code is required, cannot be sent, or codes are locked; or declined.",
                *(_OTP_REQUIRED, _OTP_UNDELIVERABLE, _DECLINED, _ERROR),
            ),
            **_REFUSALS,
        },
    }
    read = {
        "summary": "Read a payment",
        "operationId": "readPayment",
        "parameters": [{"name": "transaction_id", "in": "path", "required": True, "schema": _ID}],
        "responses": {
            "200": _answer("The payment.", _PAYMENT),
            "403": _answer("The token lacks the scope.", _ERROR),
            **_refused("401", "404", "408", "429", "431", "500", "503"),
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1.0"},
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "security": [{"bearer": []}],
        "paths": {
            "/payment/confirm": {"post": confirm},
            "/payment/{transaction_id}": {"get": read},
            "/payment/{transaction_id}/events": {"get": _EVENTS},
            "/ws": {"get": _SOCKET},
            "/.well-known/partner-jwks.json": {"get": _PARTNER_KEYS},
            KEYS_PATH: {"get": _ENCRYPTION_KEYS},
        },
    }
