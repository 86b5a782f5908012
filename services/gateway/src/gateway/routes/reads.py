"""`GET /payment/{transaction_id}`: how a payment stands, for its owner alone."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.clients.reads import Reads
from gateway.routes.admission import Admission, RefusedError
from gateway.routes.confirm import response_of
from payment_schemas import answers
from service_runtime.errors import Unavailable
from service_runtime.web import JsonResponse


@dataclass(frozen=True, slots=True)
class ReadRoute:
    """Passes a read on to confirm."""

    admission: Admission
    reads: Reads

    async def __call__(self, request: Request) -> Response:
        """Answer one read."""
        transaction_id = request.path_params["transaction_id"]
        try:
            user_id = await self.admission.reader(request)
            found = await self.reads.payment(user_id, transaction_id)
        except RefusedError as refused:
            return response_of(refused.answer)
        except Unavailable:
            return response_of(answers.unavailable())
        if found is None:
            return response_of(answers.unknown_payment(transaction_id))
        return JsonResponse(found)
