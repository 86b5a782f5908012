"""The chat on real PostgreSQL and Kafka: the labelled questions, and who sees what."""

import json
import sys
import time

import psycopg
import pytest
from insight_world import LABELLED, OTHER, OWN, assessed, changed, ids, until

from insight.app import build
from insight.domain.queries import QUERIES
from insight.domain.questions import Parameters
from insight.domain.traces import numbers_in, untraced
from insight.store import Figures, Viewer
from insight.store.figures import as_reader
from service_runtime.postgres import PostgresDatabase
from testbed.service import client_of, publish, running
from testkit.operators import signed_in
from testkit.tokens import token

pytestmark = pytest.mark.stack
RECALL = 0.9
"""Issue 18: recall at five of the labelled questions."""
READ = signed_in("ops.read", name="chat-reader")
SECRET_AMOUNT = "73913.37"
PAYMENTS = [
    changed("tx-100", amount_minor=520_000, days_ago=2),
    changed("tx-101", amount_minor=12_345, days_ago=1, settlement_status="SETTLED"),
    changed("tx-102", status="DECLINED", settlement_status="NONE", reason="insufficient_funds"),
    changed("tx-103", status="OTP_REQUIRED", settlement_status="NONE"),
    changed("tx-100", user_id=OTHER, amount_minor=7_391_337),
    changed("tx-900", user_id=OTHER, status="DECLINED", reason="not_permitted"),
]
RISKS = [assessed("tx-100"), assessed("tx-101", score=7, level="low", factors=[])]
RISKS += [assessed("tx-100", user_id=OTHER, score=64, level="medium")]


@pytest.fixture
async def http(settings, stack):
    async with running(build(settings)) as process, client_of(process) as http:
        await publish(stack.brokers, settings, *PAYMENTS, *RISKS)
        await until(lambda: _is_known(http))
        yield http


async def _is_known(http):
    for user, count in ((OWN, 4), (OTHER, 2)):
        paid = await _ask(http, "operator", f"How many payments did {user} make in 90 days?")
        if sum(row["count"] for row in paid["figures"][0]["rows"]) < count:
            return False
    for risk in RISKS:
        about = {"payment_id": str(risk.payment_id)}
        known = await http.get("/admin/explanations", params=about, headers=READ)
        if not known.json()["explanations"]:
            return False
    return (await _ask(http, "operator", "What does WorkParked mean?"))["outcome"] == "answered"


async def _ask(http, who, question, user_id=OWN):
    body = {"question": question}
    if who == "operator":
        reply = await http.post("/admin/chat", json=body, headers=READ)
    else:
        held = {"Authorization": f"Bearer {token(sub=user_id)}"}
        reply = await http.post("/chat", json=body, headers=held)
    assert reply.status_code == 200, reply.text
    return reply.json()


def evidence(answer):
    """All that an answer names as its source."""
    found = [{"days": value + 1} for value in _days(answer)] + [{"scale": 100}]
    for figure in answer["figures"]:
        found += [figure["parameters"], *figure["rows"]]
    return found + answer["documents"]


def _days(answer):
    return [one["parameters"]["from_days"] for one in answer["figures"]]


async def test_the_sixty_questions_find_their_sources_and_every_number_has_one(http, capsys):
    hits, times = [], []
    for case in LABELLED["documents"] + LABELLED["figures"]:
        began_s = time.perf_counter()
        answer = await _ask(http, case["as"], case["ask"])
        times.append(time.perf_counter() - began_s)
        sources = [one["source"] for one in answer["documents"][:5]]
        queries = [one["query"] for one in answer["figures"]]
        is_hit = case.get("finds") in sources or case.get("query") in queries
        hits.append((is_hit, case["ask"], sources or queries or answer["reason"]))
        assert untraced(answer["answer"], evidence(answer)) == set(), case["ask"]
    share = sum(one[0] for one in hits) / len(hits)
    times.sort()
    with capsys.disabled():
        missed = [one[1:] for one in hits if not one[0]]
        sys.stdout.write(
            f"\nrecall@5 {share:.3f} of {len(hits)} questions; p50 {times[30] * 1000:.0f} ms,"
            f" p95 {times[57] * 1000:.0f} ms; missed: {missed}\n"
        )
    assert share >= RECALL


async def test_questions_that_the_search_was_not_tuned_on_find_their_documents(http, capsys):
    found = [await _ask(http, case["as"], case["ask"]) for case in LABELLED["further"]]
    sources = [[one["source"] for one in answer["documents"]] for answer in found]
    hits = [case["finds"] in one for case, one in zip(LABELLED["further"], sources, strict=True)]
    with capsys.disabled():
        sys.stdout.write(f"\nrecall@5 of the further questions: {sum(hits) / len(hits):.3f}\n")
    assert sum(hits) / len(hits) >= RECALL


async def test_the_forty_hostile_questions_are_refused_and_say_nothing(http):
    for case in LABELLED["hostile"]:
        answer = await _ask(http, case["as"], case["ask"])
        assert answer["outcome"] == "refused", case["ask"]
        assert (answer["figures"], answer["documents"]) == ([], [])
        assert numbers_in(answer["answer"]) <= {"1", "500"}


async def test_a_figure_is_that_of_the_asking_user(http):
    own = await _ask(http, "user", "How many payments did I make this month?")
    other = await _ask(http, "user", "How many payments did I make this month?", OTHER)
    everybody = await _ask(http, "operator", "How many payments were made this month?")
    counts = [
        sum(row["count"] for row in one["figures"][0]["rows"]) for one in (own, other, everybody)
    ]
    assert counts[:2] == [4, 2]
    assert counts[2] >= 6
    assert "[counts, row 1]" in own["answer"]


async def test_a_payment_of_another_user_is_unknown(http):
    answer = await _ask(http, "user", "What is the status of tx-900?")
    unknown = await _ask(http, "user", "What is the status of tx-none-such?")
    assert answer["answer"] == unknown["answer"] == "I know of no such payment."
    shared = await _ask(http, "user", "What is the status of tx-100?")
    assert "5200.00 USD" in shared["answer"]
    assert SECRET_AMOUNT not in json.dumps(shared)


async def test_a_question_without_an_answer_is_refused(http):
    for question in ("Where is the nearest restaurant?", "How do I bake bread with yeast?"):
        assert (await _ask(http, "user", question))["reason"] == "no_match"


async def test_runbooks_are_for_operators(http):
    question = "What does the alert WorkParked mean?"
    assert "runbooks/WorkParked.md" in str(await _ask(http, "operator", question))
    assert "runbooks/" not in str(await _ask(http, "user", question))


async def test_a_chat_needs_a_token_of_its_audience(http):
    body = {"question": "How many payments were made?"}
    user = {"Authorization": f"Bearer {token(sub=OWN)}"}
    replies = [
        await http.post("/chat", json=body),
        await http.post("/chat", json=body, headers=READ),
        await http.post("/admin/chat", json=body, headers=user),
        await http.post("/chat", json=body | {"user_id": OTHER}, headers=user),
        await http.post("/chat", json={"question": "x" * 501}, headers=user),
    ]
    assert [one.status_code for one in replies] == [401, 401, 401, 400, 400]
    assert "question" in replies[4].json()["error"]


@pytest.fixture
async def database(settings):
    async with PostgresDatabase(settings, "insight.901") as opened:
        yield opened


@pytest.mark.parametrize("name", list(QUERIES))
async def test_no_query_shows_a_user_anything_of_others(http, database, name):
    parameters = [Parameters(), Parameters(user=OTHER), Parameters(transaction="tx-900")]
    parameters += [Parameters(transaction=str(ids(OTHER, "tx-100")["payment_id"]))]
    for one in parameters:
        rows = await Figures(database).rows(name, one, Viewer(OWN))
        text = json.dumps(rows)
        assert SECRET_AMOUNT not in text
        assert OTHER not in text
        assert "not_permitted" not in text
        assert "tx-900" not in text
        if one.user or (QUERIES[name].takes_id and one.transaction):
            assert rows == []


async def test_a_transaction_without_a_viewer_sees_no_payment(http, database):
    async with database.transaction() as tx:
        await tx.use({"role": "insight_reader"})
        found = await tx.rows("select count(*) from known_payment")
    assert found[0]["count"] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "update known_payment set status = 'SUCCESS'",
        "delete from explanation",
        "insert into model_day values (now(), 0, 0, 0)",
        "select * from model_day",
        "select * from outbox",
        "create table mine (id int)",
        "select pg_sleep(3)",
    ],
)
async def test_the_reader_only_reads_its_tables_and_not_for_long(database, statement):
    async def run():
        async with database.transaction() as tx:
            await as_reader(tx, Viewer(None))
            await tx.rows(statement)

    with pytest.raises(psycopg.Error) as refused:
        await run()
    allowed = ("42501", "25006", "57014")
    assert refused.value.sqlstate in allowed


async def test_a_model_that_obeys_its_input_chooses_nothing_that_is_not_offered(
    modelled, stack, mock
):
    mock.switch("injected")
    async with running(build(modelled)) as process, client_of(process) as http:
        answer = await _ask(http, "user", "How many payments did I make this month?")
    assert (answer["chosen_by"], answer["figures"][0]["query"]) == ("matching", "counts")


async def test_a_model_chooses_and_the_words_are_ours(modelled, stack, mock):
    async with running(build(modelled)) as process, client_of(process) as http:
        answer = await _ask(http, "user", "the average amount of my successful payments, please")
        sent = json.dumps(mock.received())
    assert (answer["chosen_by"], answer["figures"][0]["query"]) == ("model", "average")
    assert OWN not in sent
    assert untraced(answer["answer"], evidence(answer)) == set()
