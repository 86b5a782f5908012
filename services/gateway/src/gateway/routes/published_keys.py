"""`GET /.well-known/…-jwks.json`: public keys of services behind the gateway."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.clients.published_keys import PublishedKeys
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from service_runtime.errors import Unavailable
from service_runtime.web import JsonResponse


@dataclass(frozen=True, slots=True)
class PublishedKeysRoute:
    """Returns the published keys, to anybody."""

    keys: PublishedKeys

    async def __call__(self, _request: Request) -> Response:
        """Return the JWK set; raise RefusedError."""
        try:
            return JsonResponse(await self.keys.published())
        except Unavailable:
            raise RefusedError(answers.unavailable()) from None
