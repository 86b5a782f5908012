"""Each kind of payment in Jaeger: every span has the right parent and service."""

import pytest
from traces import UNKNOWN, JaegerTrace

from ops.clients.jaeger import Jaeger
from ops.domain.waterfalls import waterfall_of
from testbed.edge import CODE
from testbed.span_tree import (
    ASSESSMENT,
    BY_KAFKA,
    CODE_ASKED_FOR,
    CODE_GIVEN,
    DELIVERY,
    INSTRUCTION,
    PLAIN,
    POST,
    REJECTED,
    SCREENED_OUT,
    through,
    with_calls,
)

pytestmark = [pytest.mark.observability, pytest.mark.timeout(420)]

LOOK_UPS = (
    *through(ASSESSMENT, "risk POST ofac", "ofac POST /screenings:batch"),
    *through(ASSESSMENT, "risk POST kyc", "kyc POST /customers:batch"),
)
BANK = "partner_bank POST /banks/{partner}/transfers"
TRANSFER = tuple(through(INSTRUCTION, "settlement POST first-bank", f"{BANK}:batch"))
ENQUIRY = tuple(through(INSTRUCTION, "settlement POST first-bank", f"{BANK}:query"))
TEXT = (DELIVERY, "notification POST twilio")
MAIL = (DELIVERY, "notification POST sendgrid")
CONTACTS = tuple(
    through(
        "otp process otp.challenge-requested.v1",
        "otp POST contacts-0",
        "notification POST /admin/contacts:query",
        "notification transaction",
    )
)
WEBHOOKS = tuple(
    through(
        "confirm send payment.status-changed.v1",
        "webhooks process payment.status-changed.v1",
        "webhooks transaction",
    )
)
TO_KEYS = set(through(POST, "gateway GET issuer", "issuer GET /.well-known/jwks.json"))
"""The first request after a start also fetches the issuer's keys."""

EXPECTED = {
    "plain": with_calls(PLAIN, *WEBHOOKS, *LOOK_UPS, *TRANSFER, MAIL),
    "code asked for": with_calls(CODE_ASKED_FOR, *WEBHOOKS, *LOOK_UPS, *CONTACTS, TEXT),
    "code given": with_calls(CODE_GIVEN, *WEBHOOKS, *TRANSFER, MAIL),
    "screened out": with_calls(SCREENED_OUT, *WEBHOOKS, *LOOK_UPS, MAIL),
    "rejected": with_calls(REJECTED, *WEBHOOKS, *LOOK_UPS, *TRANSFER, MAIL),
    "settled by a bank on Kafka": with_calls(BY_KAFKA, *WEBHOOKS, *LOOK_UPS, MAIL),
    "unknown, then settled": with_calls(PLAIN, *WEBHOOKS, *LOOK_UPS, *TRANSFER, *ENQUIRY, MAIL),
}


@pytest.fixture(scope="module")
async def trace_ids(observed, edge):
    """Return the traces of one payment of each kind, each followed to its end."""
    contact = ("+15557310001", "walked@example.com")
    (customer,) = await edge.open_customers("walked", 1, 50_000_00, contact)
    large = {"amount": "5200", "to_account": "payee-xyz"}
    kinds = {
        "plain": ("plain", {}),
        "code asked for": ("code", large),
        "code given": ("code", large | {"otp_code": CODE}),
        "screened out": ("screened", {"to_account": "payee-sanctioned"}),
        "rejected": ("rejected", {"to_account": "payee-rejected"}),
        "settled by a bank on Kafka": ("kafka", {"to_account": "south-shop"}),
        "unknown, then settled": ("unknown", {"to_account": "payee-silent"}),
    }
    found = {}
    for kind, (transaction, order) in kinds.items():
        answer = await edge.pay(customer, f"walked-{transaction}", **order)
        found[kind] = answer.headers["X-Trace-Id"]
        # A batch is written in one transaction, in the trace of its first event.
        await complete(observed, found[kind], EXPECTED[kind])
    return found


async def complete(observed, trace_id, expected):
    """Wait until Jaeger has the expected spans and the parents of all; return the trace.

    The processes export on their own clocks, so that a span may be stored before its parent.
    """

    def look():
        trace = JaegerTrace(observed.trace(trace_id))
        whole = all(parent != UNKNOWN for parent, _ in trace.hops)
        return trace if whole and trace.hops >= expected else None

    return await observed.seen(look)


@pytest.mark.parametrize("kind", EXPECTED)
async def test_every_span_is_a_child_of_its_cause(observed, trace_ids, kind):
    trace = await complete(observed, trace_ids[kind], EXPECTED[kind])
    stored = {hop for hop in trace.hops if hop[1] == "audit transaction"}
    assert trace.hops - TO_KEYS - stored == EXPECTED[kind]
    assert {parent.partition(" process ")[0] for parent, _ in stored} <= {"audit"}
    assert trace.roots == [POST]
    assert trace.trace_ids == {trace_ids[kind]}
    # The console draws the same spans, each below the same one.
    await observed.seen(
        lambda: drawn(observed, trace_ids[kind]) == of_jaeger(observed, trace_ids[kind])
    )


def of_jaeger(observed, trace_id):
    """Return the number of spans of Jaeger's answer, and its hops."""
    found = observed.trace(trace_id)
    return len(found["spans"]), JaegerTrace(found).hops


def drawn(observed, trace_id):
    """Return the number of lines of the console's waterfall, and its hops."""
    lines = waterfall_of(Jaeger(observed.jaeger).spans(trace_id)).lines
    above, hops = [], []
    for line in lines:
        del above[line.depth :]
        above.append(f"{line.span.service} {line.span.name}")
        hops += [tuple(above[-2:])] if line.depth else []
    return len(lines), set(hops)


async def test_both_calls_of_a_payment_with_a_code_are_linked(observed, trace_ids):
    trace = await complete(observed, trace_ids["code given"], EXPECTED["code given"])
    assert trace.linked_to == {trace_ids["code asked for"]}
