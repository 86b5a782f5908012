"""Rules, checks, review cases, reports: for operators over the gateway, for risk by its secret."""

from fastapi import APIRouter

from compliance.routes.api import Api
from compliance.routes.checks import add_batches, add_checks, add_monitoring
from compliance.routes.kyc import add_kyc, add_provider_webhooks
from compliance.routes.kyc_api import PATH as KYC_PATH
from compliance.routes.kyc_api import KycApi
from compliance.routes.kyc_documents import add_uploads
from compliance.routes.kyc_review import add_reviews
from compliance.routes.names import add_names
from compliance.routes.reports import add_reports, draft_routes
from compliance.routes.reviews import CLOSE_CASE, close_case, review_routes
from compliance.routes.rules import SET_RULE, add_rules, set_rule
from compliance.routes.subjects import add_subjects
from compliance.store.names import PayerNames
from service_runtime.credentials import Credentials
from service_runtime.operators import Operators
from service_runtime.responses import refusals

__all__ = ["CLOSE_CASE", "SET_RULE", "Api", "close_case", "kyc_routes", "routes", "set_rule"]
PATH = "/api/v1/compliance"
_REFUSALS = refusals(
    {
        400: "A field is missing, invalid or unknown.",
        401: "No operator's token, or an invalid one.",
        403: "The token lacks the scope.",
        404: "Unknown.",
        409: "In progress, or changed meanwhile.",
        412: "Changed since If-Match was read.",
        422: "The Idempotency-Key was used for another request.",
        503: "Nothing was changed; see Retry-After.",
    }
)


def routes(api: Api, machines: Credentials) -> APIRouter:
    """Return all routes; risk's batches are not under the public path."""
    public = APIRouter(prefix=PATH, tags=["compliance"], responses=_REFUSALS)
    add_checks(public, api)
    add_monitoring(public, api)
    add_rules(public, api)
    add_reports(public, api)
    whole = APIRouter()
    whole.include_router(public)
    add_batches(whole, api, machines)
    whole.include_router(review_routes(api))
    whole.include_router(draft_routes(api))
    return whole


def kyc_routes(
    api: KycApi, operators: Operators, names: PayerNames, machines: Credentials
) -> APIRouter:
    """Return the routes of identity checks, of subjects, and of payers' names for risk."""
    public = APIRouter(prefix=KYC_PATH, tags=["kyc"])
    add_uploads(public, api)
    add_kyc(public, api)
    add_provider_webhooks(public, api)
    whole = APIRouter()
    whole.include_router(public)
    add_reviews(whole, api, operators)
    add_subjects(whole, api, operators)
    add_names(whole, names, machines)
    return whole
