"""The interface of the OFAC mock, with names, by machines alone."""

from uuid import uuid4

import pytest

from screening.settings import Settings
from service_runtime.sealing import Sealer
from testbed.service import SECRET
from testkit.operators import signed_in

pytestmark = pytest.mark.stack
MACHINE = {"Authorization": f"Bearer {SECRET}"}


async def batch(http, *parties):
    return await http.post("/screenings:batch", json={"parties": parties}, headers=MACHINE)


async def test_a_batch_is_answered_in_order_as_the_mock_does(http):
    parties = [
        {"id": "0", "account_id": "payee-xyz"},
        {"id": "1", "account_id": "north-payee-sanctioned"},
        {"id": "2", "name": "Oleskandr Varennikov"},
        {"id": "3", "name": "Maria Garcia"},
    ]
    response = await batch(http, *parties)
    assert response.status_code == 200
    body = response.json()
    assert body["list_version"] == "DEMO 2026-11-01"
    assert [(one["id"], one["hit"]) for one in body["results"]] == [
        ("0", False),
        ("1", True),
        ("2", True),
        ("3", False),
    ]
    assert body["results"][0] == {
        "id": "0",
        "hit": False,
        "match_score": 0,
        "screened_by": ["account"],
    }
    hit = body["results"][2]
    assert hit["match_score"] >= 70
    assert hit["entry"] == {
        "list": "DEMO",
        "version": "2026-11-01",
        "id": "1001",
        "name": "VARENNIKOV, Oleksandr Pavlovich",
        "programmes": ["DEMO-CYBER"],
    }
    assert "varennikov" in hit["explanation"]


async def test_a_sealed_name_is_opened_for_its_payment_alone(http, settings):
    payment_id = uuid4()
    sealed = Sealer(settings.sealing_keys).seal("Oleskandr Varennikov", payment_id).reveal()
    party = {"id": "1", "account_id": "payee-1", "sealed_name": sealed}
    found = (await batch(http, party | {"payment_id": str(payment_id)})).json()["results"][0]
    assert (found["hit"], found["screened_by"]) == (True, ["account", "name"])
    moved = await batch(http, party | {"payment_id": str(uuid4())})
    assert (moved.status_code, moved.json()["error"]) == (400, "Invalid field: sealed_name")


async def test_a_single_party_is_screened(http):
    body = {"id": "1", "name": "sanctioned  PERSON"}
    response = await http.post("/screenings", json=body, headers=MACHINE)
    assert (response.json()["hit"], response.json()["entry"]["id"]) == (True, "1004")


@pytest.mark.parametrize(
    "party",
    [
        {"account_id": "a"},
        {"id": "1"},
        {"id": "1", "name": ""},
        {"id": "1", "name": "x" * 201},
        {"id": "1", "name": "Ada", "sealed_name": "k.x", "payment_id": str(uuid4())},
        {"id": "1", "sealed_name": "k.x"},
        {"id": "1", "name": "Ada", "birth_date": "yesterday"},
        {"id": "1", "name": "Ada", "memo": "x"},
    ],
)
async def test_an_invalid_party_is_refused_without_its_name(http, party):
    response = await batch(http, party)
    assert response.status_code == 400
    assert "Ada" not in response.text


async def test_more_than_a_hundred_parties_are_refused(http):
    parties = [{"id": str(number), "account_id": "a"} for number in range(101)]
    assert (await batch(http, *parties)).status_code == 400
    assert (await batch(http, *parties[1:])).status_code == 200


@pytest.mark.parametrize("secret", ["", "Bearer another"])
async def test_only_a_machine_with_the_scope_may_screen(http, secret):
    body, headers = {"id": "1", "name": "Ada"}, {"Authorization": secret}
    for path, sent in (("/screenings", body), ("/screenings:batch", {"parties": [body]})):
        assert (await http.post(path, json=sent, headers=headers)).status_code == 401


async def test_operators_read_the_lists_and_an_entry(http):
    reader = signed_in("ops.read")
    lists = await http.get("/admin/lists", headers=reader)
    assert lists.json() == {"lists": [{"list": "DEMO", "version": "2026-11-01", "entries": 6}]}
    entry = await http.get("/admin/lists/DEMO/entries/1002", headers=reader)
    assert entry.json()["programmes"] == ["DEMO-ARMS", "DEMO-CYBER"]
    assert (await http.get("/admin/lists/DEMO/entries/9", headers=reader)).status_code == 404
    assert (await http.get("/admin/lists", headers=MACHINE)).status_code == 401


def test_production_needs_a_list_of_its_own(settings):
    fields = settings.model_dump(exclude={"lists_folder"}) | {"profile": "prod"}
    with pytest.raises(ValueError, match="LISTS_FOLDER"):
        Settings.model_validate(fields, by_name=True, by_alias=False)
