"""Profiles of partner banks on Kafka: their stores and their operator routes."""

from dataclasses import replace

import pytest
from httpx import ASGITransport, AsyncClient
from settlement_builders import BANK_KEY, NOW, from_bank, kafka_partner, report, requested

from service_runtime.http_unit import HttpUnitOfWork
from service_runtime.web import create_app
from settlement.handlers import replays
from settlement.routes.partners import PartnerChanges, partner_routes
from settlement.store import waiting
from testkit.operators import actor, operators, signed_in

OPS = signed_in("ops.read", "partners.write")
KEY = BANK_KEY.public().model_dump(exclude_none=True)
UETR = str(requested().uetr)
TOPIC = "settlement.instructions.kafka-bank.v1"
NEW = {
    "partner": "north-kafka",
    "format": "json",
    "partitions": 3,
    "account_prefixes": ["nk-"],
    "answer_within_s": 60,
    "enquire_after_s": 300,
    "keys": {"keys": [KEY]},
}


async def test_a_profile_is_stored_as_it_was_added(world):
    profile = kafka_partner("north-kafka", account_prefixes=("nk-", "nk2-"))
    async with world.database.transaction() as tx:
        await world.partners(tx).add(profile)
    async with world.database.transaction() as tx:
        assert await world.partners(tx).profiles() == {"north-kafka": profile}


async def test_keys_and_suspension_of_a_profile_change_and_others_stay(world):
    first, second = kafka_partner("a-bank"), kafka_partner("b-bank")
    changed = replace(first, keys={"keys": [{"kid": "new"}]}, suspended_at=NOW, version=2)
    async with world.database.transaction() as tx:
        await world.partners(tx).add(second)
        await world.partners(tx).add(first)
    async with world.database.transaction() as tx:
        await world.partners(tx).lock()
        await world.partners(tx).save(changed)
    async with world.database.transaction() as tx:
        assert list((await world.partners(tx).profiles()).values()) == [changed, second]


@pytest.fixture
async def http(postgres_world):
    app = create_app("settlement", {}, postgres_world.clock)
    requests = HttpUnitOfWork(postgres_world.unit, "settlement", postgres_world.clock)
    changes = PartnerChanges(requests, postgres_world.clock, postgres_world.replays())
    app.include_router(partner_routes(postgres_world.database, changes, operators()))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


async def post(http, path="", body=None, headers=OPS):
    return await http.post(f"/admin/partners{path}", json=body, headers=headers)


@pytest.mark.stack
async def test_a_partner_is_added_shown_suspended_resumed_and_gets_new_keys(http, postgres_world):
    added = await post(http, "", NEW)
    assert added.status_code == 201
    assert added.json() == NEW | {
        "suspended_at": None,
        "version": 1,
        "instructions_topic": "settlement.instructions.north-kafka.v1",
        "reports_topic": "settlement.reports.north-kafka.v1",
    }
    suspended = (await post(http, "/north-kafka/suspend")).json()
    assert (suspended["version"], suspended["suspended_at"] is None) == (2, False)
    assert (await post(http, "/north-kafka/suspend")).status_code == 409
    assert (await post(http, "/north-kafka/resume")).json()["suspended_at"] is None
    assert (await post(http, "/north-kafka/resume")).status_code == 409
    keys = {"keys": [KEY | {"kid": "2027", "exp": 1_900_000_000}]}
    changed = (await post(http, "/north-kafka/keys", {"keys": keys})).json()
    assert (changed["keys"], changed["version"]) == (keys, 4)
    shown = await http.get("/admin/partners/north-kafka", headers=OPS)
    assert shown.json() == changed
    listed = await http.get("/admin/partners", headers=OPS)
    assert listed.json() == {"partners": [changed]}
    steps = ("ADDED", "SUSPENDED", "RESUMED", "KEYS_REPLACED")
    entries = [(f"PARTNER_{step}", actor()) for step in steps]
    assert postgres_world.audit_entries() == entries


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"partner": "No"}, "partner"),
        ({"format": "xml"}, "format"),
        ({"partitions": 0}, "partitions"),
        ({"account_prefixes": ["a b"]}, "account_prefixes.0"),
        ({"account_prefixes": ["a-", "a-"]}, "account_prefixes"),
        ({"answer_within_s": 0}, "answer_within_s"),
        ({"enquire_after_s": 59}, "enquire_after_s"),
        ({"surprise": 1}, "surprise"),
        ({"keys": {"keys": []}}, "keys"),
        ({"keys": {"keys": [KEY | {"d": "A" * 43}]}}, "keys"),
    ],
)
@pytest.mark.stack
async def test_an_invalid_profile_is_refused_with_the_name_of_the_field(http, change, field):
    response = await post(http, "", NEW | change)
    assert (response.status_code, response.json()["error"]) == (400, f"Invalid field: {field}")


@pytest.mark.stack
async def test_a_partner_and_a_prefix_exist_once(http):
    assert (await post(http, "", NEW)).status_code == 201
    again = await post(http, "", NEW)
    assert (again.status_code, again.json()["error"]) == (409, "Invalid field: partner")
    other = await post(http, "", NEW | {"partner": "other-bank"})
    assert (other.status_code, other.json()["error"]) == (409, "Invalid field: account_prefixes")


@pytest.mark.stack
async def test_an_unknown_partner_is_reported_as_unknown(http):
    answers = [
        await http.get("/admin/partners/no-bank", headers=OPS),
        await post(http, "/no-bank/suspend"),
        await post(http, "/no-bank/keys", {"keys": NEW["keys"]}),
        await post(http, "/no-bank/replay", {"uetr": UETR}),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]) == (409, "Unknown partner: no-bank")


@pytest.mark.stack
async def test_changing_a_partner_needs_the_scope_to_write(http):
    reader = signed_in("ops.read")
    replay = ("/a/replay", {"uetr": UETR})
    keys = ("/a/keys", {"keys": NEW["keys"]})
    for path, body in (("", NEW), ("/a/suspend", None), ("/a/resume", None), keys, replay):
        assert (await post(http, path, body, reader)).status_code == 403
    assert (await http.get("/admin/partners", headers=signed_in())).status_code == 403


@pytest.fixture
async def sent(postgres_world):
    """A world in which three instructions were sent by Kafka; the second is REJECTED."""
    await postgres_world.add_partner(kafka_partner())
    for number in (1, 2, 3):
        await postgres_world.request(requested(number, "kafka-bank-payee"))
        postgres_world.clock.pass_time(seconds=1)
    await postgres_world.hear(from_bank(report(2, "REJECTED")), from_bank(report(3)))
    return postgres_world


@pytest.mark.stack
async def test_one_instruction_is_published_again_as_it_was(sent, http):
    answer = await post(http, "/kafka-bank/replay", {"uetr": UETR})
    assert (answer.status_code, answer.json()) == (202, {"partner": "kafka-bank", "uetr": UETR})
    first, *_, last = sent.broker.topics[TOPIC]
    assert (first.key, first.value, first.headers) == (last.key, last.value, last.headers)
    assert sent.audit_entries()[-1] == ("PARTNER_REPLAY_REQUESTED", actor())


@pytest.mark.stack
async def test_what_the_bank_must_not_book_is_not_published_again(sent, http):
    for number, details in ((2, "is REJECTED"), (9, "never sent")):
        wanted = {"uetr": str(requested(number).uetr)}
        answer = await post(http, "/kafka-bank/replay", wanted)
        assert answer.status_code == 409
        assert details in answer.json()["details"]
    assert len(sent.broker.topics[TOPIC]) == 3


@pytest.mark.stack
async def test_everything_since_a_time_is_published_again_in_order_and_at_a_bounded_rate(
    sent, http, monkeypatch
):
    monkeypatch.setattr(replays, "STEP_RECORDS", 1)
    monkeypatch.setattr(replays, "STEP_S", 0.0)
    answer = await post(http, "/kafka-bank/replay", {"since": NOW.isoformat()})
    assert answer.status_code == 202
    again = await post(http, "/kafka-bank/replay", {"since": NOW.isoformat()})
    assert (again.status_code, again.json()["error"]) == (409, "Conflict")
    for published in (4, 5, 5):
        await sent.replays().step()
        assert len(sent.broker.topics[TOPIC]) == published
    uetrs = [record.key.decode() for record in sent.broker.topics[TOPIC][3:]]
    assert uetrs == [str(requested(number).uetr) for number in (1, 3)]
    assert sent.audit_entries()[-1] == ("PARTNER_REPLAYED", actor())
    assert (await post(http, "/kafka-bank/replay", {"since": NOW.isoformat()})).status_code == 202


@pytest.mark.stack
async def test_a_replay_waits_while_the_partner_is_suspended(sent, http, monkeypatch):
    monkeypatch.setattr(replays, "STEP_S", 0.0)
    await post(http, "/kafka-bank/replay", {"since": NOW.isoformat()})
    await post(http, "/kafka-bank/suspend")
    refused = await post(http, "/kafka-bank/replay", {"uetr": UETR})
    assert (refused.status_code, refused.json()["error"]) == (409, "Conflict")
    await sent.replays().step()
    assert len(sent.broker.topics[TOPIC]) == 3
    await post(http, "/kafka-bank/resume")
    await sent.replays().step()
    assert len(sent.broker.topics[TOPIC]) == 5


@pytest.mark.parametrize("body", [{}, {"since": NOW.isoformat(), "uetr": UETR}])
@pytest.mark.stack
async def test_a_replay_needs_a_time_or_a_transfer(http, body):
    answer = await post(http, "/kafka-bank/replay", body)
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid field: since")


@pytest.mark.stack
async def test_what_waits_at_a_partner_is_counted(sent):
    await sent.add_partner(kafka_partner("quiet-bank"))
    async with sent.database.transaction() as tx:
        quiet_or_not = {one.partner: one for one in await waiting(tx)}
    # Its clock is years behind the database's: the first instruction is unanswered.
    assert quiet_or_not["kafka-bank"].unanswered == 1
    assert quiet_or_not["kafka-bank"].oldest_s > 60
    quiet = quiet_or_not["quiet-bank"]
    assert (quiet.unanswered, quiet.oldest_s, quiet.queued) == (0, 0.0, 0)
    assert quiet.statement_s < 60


AT_THE_BANK = "status = 'SENT', next_step = 'PUBLISH'"
LATER = "now() + interval '1 hour'"


@pytest.mark.parametrize(
    ("state", "unanswered_since", "due_at", "age_s"),
    [
        pytest.param(AT_THE_BANK, "now() - interval '10 s'", LATER, None, id="first publication"),
        pytest.param(AT_THE_BANK, "now() - interval '350 s'", LATER, None, id="second publication"),
        pytest.param(AT_THE_BANK, "now() - interval '450 s'", LATER, 90, id="both unanswered"),
        pytest.param(AT_THE_BANK, "null", LATER, None, id="reported PENDING"),
        pytest.param(
            AT_THE_BANK,
            "now() - interval '310 s'",
            "now() - interval '10 s'",
            10,
            id="due, and not published again",
        ),
        pytest.param(
            "status = 'RECONCILE', next_step = 'AWAIT', version = 3",
            "null",
            LATER,
            3600,
            id="people must decide",
        ),
        pytest.param("status = 'QUEUED', version = 1", "null", "now()", 3600, id="not published"),
        pytest.param("next_step = 'ENQUIRE'", "null", LATER, 3600, id="over HTTP"),
    ],
)
@pytest.mark.stack
async def test_an_instruction_at_a_bank_on_kafka_is_unfinished_once_the_time_of_the_bank_is_over(
    postgres_world, state, unanswered_since, due_at, age_s
):
    await postgres_world.add_partner(kafka_partner(answer_within_s=60, enquire_after_s=300))
    await postgres_world.request(requested(payee="kafka-bank-payee"))
    await postgres_world.execute(
        f"update instruction set {state}, unanswered_since = {unanswered_since},"  # noqa: S608
        f" due_at = {due_at}, created_at = now() - interval '1 hour'"
    )
    found, _ = await postgres_world.check()
    ages = [row["age_s"] for row in found.unfinished]
    assert ages == ([] if age_s is None else [pytest.approx(age_s, abs=5)])
    assert found.violations == []
