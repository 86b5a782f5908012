"""What clients send, and the shape of what they get."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from identity.domain.passwords import MOST_CHARACTERS
from identity.domain.refusals import OAuthError
from identity.domain.subjects import email_of
from payment_schemas.sealed import Personal
from service_runtime.web import JsonResponse

Email = Annotated[Personal, Field(max_length=300), AfterValidator(email_of)]


def _text(secret: Personal) -> Personal:
    """Refuse a lone surrogate, which has no bytes."""
    try:
        secret.reveal().encode()
    except UnicodeEncodeError:
        raise ValueError("must be Unicode text") from None
    return secret


Secret = Annotated[Personal, Field(min_length=1, max_length=MOST_CHARACTERS), AfterValidator(_text)]
"""A password or a token; it prints as `***`."""
T = TypeVar("T")
_NO_STORE = {"Cache-Control": "no-store"}


class Body(BaseModel):
    """A JSON object; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Registration(Body):
    """A new user."""

    email: Email
    password: Secret


class SignIn(Body):
    """A sign-in of a user."""

    email: Email
    password: Secret
    kind: Literal["customer", "operator"] = Field(default="customer", alias="as")
    """`operator`: the token is for the operators' audience and holds the scopes of the roles."""


class Refresh(Body):
    """A refresh token."""

    refresh_token: Secret = Field(alias="refreshToken")


class PasswordChange(Body):
    """A new password, and the current one."""

    current: Secret = Field(alias="currentPassword")
    new: Secret = Field(alias="newPassword")


class ClientCredentials(Body):
    """A client and its secret."""

    client_id: str = Field(alias="clientId", min_length=1, max_length=100)
    client_secret: Secret = Field(alias="clientSecret")


class Success(BaseModel, Generic[T]):
    """The printed shape of a response."""

    success: Literal[True]
    data: T


class Nothing(BaseModel):
    """No content."""


class Account(BaseModel):
    """What a user sees of the own account."""

    id: str
    """The `sub` of the user's tokens."""
    email: str | None
    createdAt: datetime  # noqa: N815 - the printed style of names


class ClientToken(BaseModel):
    """An access token."""

    token: str
    expiresIn: str  # noqa: N815
    """How long it is accepted: `15m`."""
    tokenType: Literal["Bearer"]  # noqa: N815


class UserTokens(ClientToken):
    """An access token, and the refresh token that follows it, which is used once."""

    refreshToken: str  # noqa: N815
    refreshExpiresIn: str  # noqa: N815


class StandardToken(BaseModel):
    """An access token in the shape of OAuth."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    """Seconds."""
    scope: str
    refresh_token: str | None = None
    """With the scope `offline_access`; it is used once."""
    id_token: str | None = None
    """With the scope `openid`: who has signed in."""


class DeviceAuthorization(BaseModel):
    """A sign-in that waits for a person at a browser. Source: RFC 8628, 3.2."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    """Seconds."""
    interval: int
    """Seconds between two polls."""


class ShownSession(BaseModel):
    """A session, as its owner sees it."""

    id: UUID
    kind: Literal["customer", "operator"]
    device: str
    """The `User-Agent` of the sign-in."""
    createdAt: datetime  # noqa: N815
    lastUsedAt: datetime  # noqa: N815
    endsAt: datetime  # noqa: N815


class ShownSessions(BaseModel):
    """The sessions of a user, newest first."""

    sessions: list[ShownSession]


def success(data: Any, status: int = 200) -> Response:
    """Return a response in the printed shape, which no cache keeps."""
    return JsonResponse({"success": True, "data": data}, status, headers=_NO_STORE)


def refused(error: OAuthError) -> Response:
    """Return a refusal in the shape of OAuth. Source: RFC 6749, 5.2."""
    return standard({"error": error.error, "error_description": str(error)}, error.status)


def standard(body: Any, status: int = 200) -> Response:
    """Return a response in the shape of OAuth. Source: RFC 6749, 5.1."""
    return JsonResponse(body, status, headers=_NO_STORE)
