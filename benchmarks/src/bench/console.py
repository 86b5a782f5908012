"""`make bench-console`: the pages of the console with 1,000,000 payments in the tables.

Beside them 100,000 review cases, card payments and payments that fraud's models have scored.

An operator signs in as a browser does; then each page and each part of a page is requested in turn.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx
import uvloop

from bench import documents, machine
from bench.customers import open_customers
from bench.desks import ADD_ONS, fill
from bench.errors import BenchmarkError
from bench.flat import SIZES
from bench.growth import History
from bench.measuring import Measured
from bench.operations import Latencies, latencies_of
from bench.report import table
from bench.results import fill_long
from bench.running import run_all, send_messages
from bench.scenarios import SMOKE
from bench.settings import number_of
from bench.system import System, Tell, infrastructure, start
from local_stack.layout import CHECKOUT
from local_stack.waiting import elapsed_since, now_s
from payment_schemas.money import DEFAULT_CURRENCY

COMMAND = "make bench-console"
CUSTOMERS = 500
BESIDE = 100_000
"""Cases, card payments and scored payments, each."""
ROUNDS = 20
GUIDE = CHECKOUT / "docs" / "console.md"
HEAD = ("p50 ms", "p95 ms", "most ms")
MOST_MS = 150.0
"""Of every page and part, at p95. Source: the design of the console."""
OPERATOR = "alice"
SEARCHED = ("Payments", "Reviews", "Card payments")
"""Pages with several searches, of which a guide has the slowest."""
WITHIN_S = 30.0
_AWAY_PARTS = ("/now/latency", "/now/alerts")
_AWAY = 'class="away"'
_CHECKS = "/checks"
_PART = re.compile(r'data-part="([^"]+)"')
_NEXT = re.compile(r'(?:href="([^"]+)" rel="next"|rel="next" href="([^"]+)")')

Times = Mapping[str, Latencies]
"""By the name of a page."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment to search for."""

    id: str
    transaction_id: str
    user_id: str
    payer: str
    payee: str


def console(offset: int, tell: Tell) -> None:
    """Measure with MOST payments. Raises BenchmarkError where a page takes 150 ms or more."""
    most, rounds = number_of("MOST", SIZES[-1], SIZES[-1]), number_of("ROUNDS", ROUNDS, 1000)
    beside = number_of("BESIDE", BESIDE, SIZES[-1])
    # A check is of what has changed lately, which is all of a history that was made just now.
    with infrastructure(offset, tell, CHECK_EVERY_S="86400") as system:
        start(system)
        customers = uvloop.run(open_customers(system, "console", CUSTOMERS))
        runs = run_all(system, SMOKE, customers)
        send_messages(system)
        payments = _filled(system, runs, most)
        # Later than the payments: risk asks them, and they are not what is measured.
        start(system, names=ADD_ONS)
        system.stack.refresh()
        fill(system, beside)
        with httpx.Client(follow_redirects=True, timeout=WITHIN_S, trust_env=False) as http:
            found = measure(http, sign_in(http, system), pages(system), rounds)
    write(found, payments)
    tell(report(found, payments))
    _require_fast(found)


def _filled(system: System, runs: Sequence[Measured], most: int) -> int:
    history = History(system, [one for run in runs for one in run.payment_ids])
    history.grow(most)
    return history.size


def sign_in(http: httpx.Client, system: System) -> str:
    """Sign an operator in at the development issuer; return the console's address."""
    url = system.found.url("ops").replace("127.0.0.1", "localhost")
    form = http.get(f"{url}/sign-in")
    fields = {**form.url.params, "operator": OPERATOR, "decision": "approve"}
    page = http.post(form.url.copy_with(query=None), data=fields)
    if page.url.path != "/now":
        raise BenchmarkError(f"no sign-in: {page.url.path} {page.status_code}; next: make logs")
    return url


def pages(system: System) -> dict[str, str]:
    """Return the addresses of the pages by name; those of identity and webhooks are not in core."""
    with system.database() as cursor:
        cursor.execute(
            """select id::text, transaction_id, user_id, from_account as payer,
                      to_account as payee from confirm.payment order by id desc limit 1"""
        )
        one = Payment(**{name: str(value) for name, value in (cursor.fetchone() or {}).items()})
    return {
        "Now": "/now",
        **{f"Payments {name}": f"/payments?{urlencode(query)}" for name, query in _searches(one)},
        "a payment": f"/payments/{one.id}",
        "Dead letters": "/dead-letters",
        "Reconciliation": "/reconciliation",
        "Partners": "/partners",
        "a partner": "/partners/first-bank",
        "System": "/system",
        **_of_add_ons(system),
    }


def _of_add_ons(system: System) -> dict[str, str]:
    with system.database() as cursor:
        cursor.execute(
            """select (select id::text from compliance.review_case order by id limit 1) as case,
                   (select 'txn_' || replace(charge_id::text, '-', '')
                    from charges.dispute order by id limit 1) as charge"""
        )
        found = cursor.fetchone() or {}
    reviews = {"due first": {}, "closed": {"state": "CLOSED"}, "escalated": {"state": "ESCALATED"}}
    reviews["of cash"] = {"kind": "CTR"}
    charges = {"newest": {}, "with a status that none has": {"status": "UNKNOWN"}}
    charges["of a merchant"] = {"user_id": "usr-merchant-7"}
    charges["of a merchant that is unknown"] = {"user_id": "nobody"}
    charges["of a provider and a status"] = {"provider": "adyen", "status": "DECLINED"}
    return {
        **{f"Reviews {name}": f"/reviews?{urlencode(one)}" for name, one in reviews.items()},
        "a review": f"/reviews/{found['case']}",
        **{f"Card payments {name}": f"/charges?{urlencode(one)}" for name, one in charges.items()},
        "Card payments to review": "/charges/reviews",
        "a card payment": f"/charges/{found['charge']}",
        "Card payments routing": "/charges/routing",
        "Fraud models": "/models",
    }


def _searches(one: Payment) -> list[tuple[str, dict[str, str]]]:
    since = {"since": "2026-01-01", "until": "2100-01-01"}
    return [
        ("newest", {}),
        ("by id", {"id": one.transaction_id}),
        ("by an id that nothing has", {"id": "nothing-has-this-id"}),
        ("by user", {"user_id": one.user_id}),
        ("by payer's account", {"account": one.payer}),
        ("by payee's account", {"account": one.payee}),
        ("by an account that nothing has", {"account": "nobody"}),
        ("by a state that all have", {"state": "CONFIRMED"}),
        ("by a state that none has", {"state": "settlement:UNKNOWN"}),
        ("by amount", {"amount": "1.23", "currency": DEFAULT_CURRENCY}),
        ("by time", since),
        ("by user, state and time", {"user_id": one.user_id, "state": "CONFIRMED", **since}),
        ("by account, state, amount", {"account": one.payee, "state": "DECLINED", "amount": "5"}),
        ("open at a partner", {"partner": "first-bank"}),
    ]


def measure(http: httpx.Client, url: str, addresses: Mapping[str, str], rounds: int) -> Times:
    """Request each page with its parts, so many times in turn; return the times."""
    wanted = dict(addresses)
    for name, path in addresses.items():
        text = _get(http, url + path)[0]
        parts = (html.unescape(one) for one in _PART.findall(text))
        wanted |= {f"{name}: {part.partition('?')[0]}": part for part in parts if _is_here(part)}
        if further := _NEXT.search(text):
            wanted[f"{name}, the next page"] = html.unescape(further[1] or further[2])
    times: dict[str, list[float]] = {name: [] for name in wanted}
    for _ in range(rounds):
        for name, path in wanted.items():
            times[name].append(_get(http, url + path)[1])
    return {name: latencies_of(values) for name, values in times.items()}


def _is_here(part: str) -> bool:
    """Say whether a part is of a service that runs here: webhooks and Prometheus do not."""
    return not part.startswith(_AWAY_PARTS) and not part.endswith("/webhooks")


def _get(http: httpx.Client, address: str) -> tuple[str, float]:
    """Return a page's text and the ms that it took. Raises BenchmarkError for none."""
    start_s = now_s()
    reply = http.get(address)
    took_ms = elapsed_since(start_s) * 1000
    # The only check here ran at the start, and names the services that were not up yet.
    is_away = _AWAY in reply.text and not address.endswith(_CHECKS)
    if reply.is_error or is_away or "/authorize" in reply.url.path:
        why = reply.text.partition(_AWAY)[2][:200]
        raise BenchmarkError(f"{address}: status {reply.status_code}, away: {why}")
    return reply.text, took_ms


def write(found: Times, payments: int) -> None:
    """Write the times of every request, and into the guide the slowest one of each page."""
    about = dict(machine.description())
    head = f"{payments:,} payments; {about['machine']}; {about['measured']}; {about['commit']}.\n\n"
    rows = [(page, name, *_figures(one)) for page, (name, one) in slowest(found).items()]
    fill_long(COMMAND, report(found, payments))
    documents.fill(GUIDE, COMMAND, head + table(("page", "slowest request", *HEAD), rows))


def slowest(found: Times) -> dict[str, tuple[str, Latencies]]:
    """Return the slowest request of each page, its parts and searches included."""
    pages: dict[str, tuple[str, Latencies]] = {}
    for name, one in found.items():
        page = next((one for one in SEARCHED if name.startswith(one)), name.partition(":")[0])
        if page not in pages or pages[page][1].p95 < one.p95:
            pages[page] = name.removeprefix(page).removeprefix(":").strip(), one
    return pages


def _figures(one: Latencies) -> tuple[str, str, str]:
    return f"{one.p50:.0f}", f"{one.p95:.0f}", f"{one.p999:.0f}"


def report(found: Times, payments: int) -> str:
    """Return the table of the times."""
    rows = [(name, *_figures(one)) for name, one in found.items()]
    return f"{payments:,} payments.\n\n" + table(("", *HEAD), rows)


def _require_fast(found: Times) -> None:
    slow = [f"{name}: {one.p95:.0f} ms" for name, one in found.items() if one.p95 >= MOST_MS]
    if slow:
        raise BenchmarkError(f"pages over {MOST_MS:.0f} ms at p95:\n  " + "\n  ".join(slow))
