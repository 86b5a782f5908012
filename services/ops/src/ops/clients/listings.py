"""The admin routes that return rows."""

from dataclasses import dataclass
from uuid import UUID

FIRST = str(UUID(int=0))
"""An id before all payments; an export begins after it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A route: its service, path, and the field of the response that has the rows."""

    owner: str
    path: str
    name: str
    page: int = 1000
    """The service's limit of rows."""


MOST_CASES = 1000
"""The limit of settlement's listing."""
PAYMENTS = Listing("confirm", "/admin/payments", "payments")
ACCOUNTS = Listing("confirm", "/admin/accounts", "accounts")
INSTRUCTIONS = Listing("settlement", "/admin/instructions", "instructions")
PARTNERS = Listing("settlement", "/admin/partners", "partners")
CASES = Listing("settlement", "/admin/cases", "cases")
STATEMENTS = Listing("settlement", "/admin/statements", "days")
PARTNER_ACTIVITY = Listing("settlement", "/admin/partner-activity", "partners")
ENDPOINTS = Listing("webhooks", "/admin/endpoints", "endpoints", page=50)
ASSESSMENTS = Listing("risk", "/admin/assessments", "assessments")
EXPLANATIONS = Listing("insight", "/admin/explanations", "explanations")
CHALLENGES = Listing("otp", "/admin/challenges", "challenges")
DELIVERIES = Listing("notification", "/admin/deliveries", "deliveries")
TIMELINE = Listing("audit", "/admin/timeline", "rows")
EVENTS = Listing("audit", "/admin/events", "events")
WEBHOOKS = Listing("webhooks", "/admin/payment-deliveries", "deliveries")
DEAD_LETTERS = Listing("ops", "/admin/dead-letters", "letters")
DISCARDS = Listing("ops", "/admin/discards", "discards", page=100)
CLIENTS = Listing("identity", "/admin/clients", "clients", page=200)
REVIEWS = Listing("compliance", "/admin/reviews", "reviews", page=200)
EXCEPTIONS = Listing("screening", "/admin/exceptions", "exceptions")
OPERATORS = Listing("identity", "/admin/operators", "operators", page=200)

PAYMENTS_EXPORT = Listing("confirm", "/admin/payments/export", "payments")
INSTRUCTIONS_EXPORT = Listing("settlement", "/admin/instructions/export", "instructions")
TIMELINES_EXPORT = Listing("audit", "/admin/timelines", "timelines", page=500)
CHALLENGES_EXPORT = Listing("otp", "/admin/challenges/export", "challenges")
ASSESSMENTS_EXPORT = Listing("risk", "/admin/assessments/export", "assessments")
DELIVERIES_EXPORT = Listing("notification", "/admin/deliveries/export", "deliveries")

SMS = Listing("twilio", "/messages", "messages")
MAILS = Listing("sendgrid", "/messages", "messages")
