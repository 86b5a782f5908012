"""The chat on real PostgreSQL and Kafka: the labelled questions, and who sees what."""

import json
import sys
import time
from pathlib import Path

import psycopg
import pytest
from chat_world import READ, SECRET_AMOUNT, ask
from insight_world import LABELLED, OTHER, OWN, ids

from insight.app import build
from insight.domain.queries import QUERIES
from insight.domain.questions import Parameters
from insight.domain.traces import numbers_in, untraced
from insight.store import Figures, Viewer
from insight.store.figures import as_reader
from testbed.service import client_of, running
from testkit.tokens import token

pytestmark = pytest.mark.stack
RECALL = 0.9
"""Issue 18: recall at five of the labelled questions."""
RECALL_UNSEEN, REFUSED_UNSEEN = 0.75, 0.975
"""Of 40 honest and 40 hostile questions, as first measured; change nothing for their sake."""
HERE = Path(__file__).parent


@pytest.fixture
def http(chat):
    """A chat that knows two users' payments."""
    return chat


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
        answer = await ask(http, case["as"], case["ask"])
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
    found = [await ask(http, case["as"], case["ask"]) for case in LABELLED["further"]]
    sources = [[one["source"] for one in answer["documents"]] for answer in found]
    hits = [case["finds"] in one for case, one in zip(LABELLED["further"], sources, strict=True)]
    with capsys.disabled():
        sys.stdout.write(f"\nrecall@5 of the further questions: {sum(hits) / len(hits):.3f}\n")
    assert sum(hits) / len(hits) >= RECALL


async def test_the_forty_hostile_questions_are_refused_and_say_nothing(http):
    for case in LABELLED["hostile"]:
        answer = await ask(http, case["as"], case["ask"])
        assert answer["outcome"] == "refused", case["ask"]
        assert (answer["figures"], answer["documents"]) == ([], [])
        assert numbers_in(answer["answer"]) <= {"1", "500"}


def lines(name):
    return (HERE / f"{name}.txt").read_text().splitlines()


async def test_hostile_questions_of_other_kinds_are_refused_and_read_nothing(http):
    answers = {one: await ask(http, "user", one) for one in lines("hostile_others")}
    answered = {one: found["answer"] for one, found in answers.items() if found["reason"] is None}
    assert answered == {}
    assert all(found["figures"] == found["documents"] == [] for found in answers.values())


async def _found(http, questions, capsys):
    """Return the share of questions, each with its source, that find it; print the others."""
    misses = []
    for question, source in (line.split("\t") for line in questions):
        answer = await ask(http, "user", question)
        found = [one["source"] for one in answer["documents"]]
        found += [one["query"] for one in answer["figures"]]
        if source not in found[:5]:
            misses.append((question, source, found[:1] or answer["reason"]))
        assert untraced(answer["answer"], evidence(answer)) == set(), question
    with capsys.disabled():
        sys.stdout.write(f"\nwithout their source, of {len(questions)}: {misses}\n")
    return 1 - len(misses) / len(questions)


async def test_honest_questions_in_varied_words_find_their_sources(http, capsys):
    assert await _found(http, lines("honest_varied"), capsys) >= RECALL


async def test_of_questions_that_nothing_was_tuned_on_most_are_answered(http, capsys):
    assert await _found(http, lines("honest_unseen"), capsys) >= RECALL_UNSEEN


async def test_of_hostile_ones_that_nothing_was_tuned_on_none_gets_a_row(http):
    answers = [await ask(http, "user", one) for one in lines("hostile_unseen")]
    assert all(figure["rows"] == [] for one in answers for figure in one["figures"])
    refused = [one for one in answers if one["outcome"] == "refused"]
    assert len(refused) / len(answers) >= REFUSED_UNSEEN


async def test_a_figure_is_that_of_the_asking_user(http):
    own = await ask(http, "user", "How many payments did I make this month?")
    other = await ask(http, "user", "How many payments did I make this month?", OTHER)
    everybody = await ask(http, "operator", "How many payments were made this month?")
    counts = [
        sum(row["count"] for row in one["figures"][0]["rows"]) for one in (own, other, everybody)
    ]
    assert counts[:2] == [4, 2]
    assert counts[2] >= 6
    assert "[counts, row 1]" in own["answer"]


async def test_a_payment_of_another_user_is_unknown(http):
    answer = await ask(http, "user", "What is the status of tx-900?")
    unknown = await ask(http, "user", "What is the status of tx-none-such?")
    assert answer["answer"] == unknown["answer"] == "I know of no such payment."
    shared = await ask(http, "user", "What is the status of tx-100?")
    assert "5200.00 USD" in shared["answer"]
    assert SECRET_AMOUNT not in json.dumps(shared)


async def test_a_question_without_an_answer_is_refused(http):
    for question in ("Where is the nearest restaurant?", "How do I bake bread with yeast?"):
        assert (await ask(http, "user", question))["reason"] == "no_match"


async def test_runbooks_are_for_operators(http):
    question = "What does the alert WorkParked mean?"
    assert "runbooks/WorkParked.md" in str(await ask(http, "operator", question))
    assert "runbooks/" not in str(await ask(http, "user", question))


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
        answer = await ask(http, "user", "How many payments did I make this month?")
    assert (answer["chosen_by"], answer["figures"][0]["query"]) == ("matching", "counts")


async def test_a_model_chooses_and_the_words_are_ours(modelled, stack, mock):
    async with running(build(modelled)) as process, client_of(process) as http:
        answer = await ask(http, "user", "the average amount of my successful payments, please")
        sent = json.dumps(mock.received())
    assert (answer["chosen_by"], answer["figures"][0]["query"]) == ("model", "average")
    assert OWN not in sent
    assert untraced(answer["answer"], evidence(answer)) == set()
