"""`GET /.well-known/partner-jwks.json`: the keys with which partner banks verify our messages."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.clients.partner_keys import PartnerKeys
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from service_runtime.errors import Unavailable
from service_runtime.web import JsonResponse


@dataclass(frozen=True, slots=True)
class PartnerKeysRoute:
    """Returns the published keys, to anybody."""

    keys: PartnerKeys

    async def __call__(self, _request: Request) -> Response:
        """Return the JWK set; raise RefusedError."""
        try:
            return JsonResponse(await self.keys.published())
        except Unavailable:
            raise RefusedError(answers.unavailable()) from None
