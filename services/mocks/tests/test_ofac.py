import pytest

from mocks.ofac.app import create
from mocks.settings import OfacSettings


@pytest.fixture
async def ofac(serve, clock):
    async with serve(create(OfacSettings(profile="dev"), clock)) as client:
        yield client


def party(number, account_id="payee-xyz"):
    return {"id": f"question-{number}", "account_id": account_id}


async def test_a_batch_is_answered_in_order_and_finds_the_sanctioned_payee(ofac):
    parties = [party(0), party(1, "payee-sanctioned"), party(2, "acc-1")]
    answer = await ofac.post("/screenings:batch", json={"parties": parties})
    assert answer.status_code == 200
    assert answer.json() == {
        "list_version": "2026-11-01",
        "results": [
            {"id": "question-0", "hit": False, "match_score": 0},
            {"id": "question-1", "hit": True, "match_score": 100},
            {"id": "question-2", "hit": False, "match_score": 0},
        ],
    }


@pytest.mark.parametrize(
    ("asked", "hit"),
    [
        pytest.param({"account_id": "payee-sanctioned"}, True, id="the account"),
        pytest.param({"account_id": "north-payee-sanctioned"}, True, id="at another bank"),
        pytest.param({"account_id": "payee-sanctioned-2"}, False, id="another account"),
        pytest.param({"account_id": "unpayee-sanctioned"}, False, id="only ends alike"),
        pytest.param({"name": " Sanctioned  PERSON "}, True, id="the name, however written"),
        pytest.param({"name": "Ordinary Person"}, False, id="another name"),
    ],
)
async def test_one_party_is_screened_by_account_or_name(ofac, asked, hit):
    answer = await ofac.post("/screenings", json={"id": "q", **asked})
    score = 100 if hit else 0
    expected = {"list_version": "2026-11-01", "id": "q", "hit": hit, "match_score": score}
    assert answer.json() == expected


async def test_a_batch_holds_up_to_a_hundred(ofac):
    parties = [party(number) for number in range(100)]
    answer = await ofac.post("/screenings:batch", json={"parties": parties})
    assert [result["id"] for result in answer.json()["results"]] == [one["id"] for one in parties]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "Missing field: parties"),
        ({"parties": []}, "Invalid field: parties"),
        ({"parties": [party(n) for n in range(101)]}, "Invalid field: parties"),
        ({"parties": [party(0), {"account_id": "acc-1"}]}, "Missing field: parties.1.id"),
        ({"parties": [{"id": "q"}]}, "Invalid field: parties.0"),
        ({"parties": [{**party(0), "name": "Both"}]}, "Invalid field: parties.0"),
        ({"parties": [{"id": "q", "account_id": 7}]}, "Invalid field: parties.0.account_id"),
        ({"parties": [{"id": "q" * 201, "account_id": "a"}]}, "Invalid field: parties.0.id"),
        ({"parties": [party(0)], "fuzzy": True}, "Unknown field: fuzzy"),
        ({"parties": ["payee-xyz"]}, "Invalid field: parties.0"),
        ("parties", "Malformed JSON"),
    ],
)
async def test_a_bad_query_is_refused_with_its_field(ofac, body, error):
    answer = await ofac.post("/screenings:batch", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_body_that_is_not_json_is_refused(ofac):
    answer = await ofac.post("/screenings", content=b"{")
    assert (answer.status_code, answer.json()) == (400, {"error": "Malformed JSON"})


async def test_an_unknown_route_is_refused_in_the_same_format(ofac):
    assert (await ofac.get("/nowhere")).json() == {"error": "Not found"}
    assert (await ofac.get("/screenings")).status_code == 405
