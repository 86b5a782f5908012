import pytest

from mocks.kyc.app import create
from mocks.kyc.customers import Customers
from mocks.settings import KycSettings


@pytest.fixture
async def kyc(serve, clock):
    async with serve(create(KycSettings(profile="dev"), clock)) as client:
        yield client


async def ask(client, *user_ids):
    answer = await client.post("/customers:batch", json={"user_ids": list(user_ids)})
    return [(result["user_id"], result["status"]) for result in answer.json()["results"]]


async def test_seeded_users_have_their_states_and_unknown_users_are_verified(kyc):
    expected = [
        ("usr-456", "verified"),
        ("usr-458", "pending"),
        ("usr-459", "rejected"),
        ("usr-460", "expired"),
        ("usr-new", "verified"),
    ]
    assert await ask(kyc, *(user_id for user_id, _ in expected)) == expected


async def test_a_changed_state_is_returned_from_then_on(kyc):
    answer = await kyc.put("/customers/usr-7", json={"status": "expired"})
    assert answer.json() == {"user_id": "usr-7", "status": "expired"}
    assert await ask(kyc, "usr-7") == [("usr-7", "expired")]


async def test_two_mocks_share_no_customers(serve, clock, kyc):
    await kyc.put("/customers/usr-7", json={"status": "expired"})
    async with serve(create(KycSettings(profile="dev"), clock)) as fresh:
        assert await ask(fresh, "usr-7") == [("usr-7", "verified")]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "Missing field: user_ids"),
        ({"user_ids": []}, "Invalid field: user_ids"),
        ({"user_ids": ["u"] * 101}, "Invalid field: user_ids"),
        ({"user_ids": ["u", 7]}, "Invalid field: user_ids.1"),
        ({"user_ids": ["u"], "deep": True}, "Unknown field: deep"),
    ],
)
async def test_a_bad_query_is_refused_with_its_field(kyc, body, error):
    answer = await kyc.post("/customers:batch", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_state_that_does_not_exist_is_refused(kyc):
    answer = await kyc.put("/customers/usr-7", json={"status": "unsure"})
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid field: status")


def test_the_number_of_customers_is_bounded_and_known_ones_can_still_change():
    customers = Customers(limit=4)
    assert customers.put("usr-1", "pending")
    assert not customers.put("usr-2", "pending")
    assert customers.put("usr-1", "expired")
    assert (customers.status_of("usr-1"), customers.status_of("usr-2")) == ("expired", "verified")
