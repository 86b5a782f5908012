"""`GET /payment/{transaction_id}`: the state of a payment, for its owner alone."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.clients.reads import Reads
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from service_runtime.edge import Access, Admission
from service_runtime.errors import Unavailable
from service_runtime.web import JsonResponse


@dataclass(frozen=True, slots=True)
class ReadRoute:
    """Reads a payment from confirm."""

    admission: Admission
    access: Access
    reads: Reads

    async def __call__(self, request: Request) -> Response:
        """Return the response to one read; raise RefusedError."""
        transaction_id = request.path_params["transaction_id"]
        caller = await self.admission.admit(request, self.access)
        try:
            payment = await self.reads.payment(caller.user_id, transaction_id)
        except Unavailable:
            raise RefusedError(answers.unavailable()) from None
        if payment is None:
            raise RefusedError(answers.unknown_payment(transaction_id))
        return JsonResponse(payment.body, headers={"ETag": f'"{payment.sequence}"'})
