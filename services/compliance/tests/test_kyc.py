"""Identity checks over HTTP, on real servers, with a provider that loses, delays and repeats."""

import asyncio
from uuid import uuid4

import httpx
import pytest
from kyc_world import KYC, REVIEWER, execute, picture, stated, zone

from payment_schemas.events.kyc import KycStatusChanged
from testbed.service import published_events
from testkit.tokens import token

pytestmark = pytest.mark.stack
TODAY_ENDS = "260101"
LOSSES_S = 6.0
"""A lost answer takes 2 s, and a check takes some calls: a run of losses would take minutes."""


@pytest.fixture
def user():
    return f"usr-{uuid4().hex[:12]}"


async def announced(world, user, count=1):
    return await published_events(world.brokers, KycStatusChanged, user, count)


async def test_a_person_is_verified_by_documents_and_the_provider(world, user, kyc_database):
    begun = await world.initiate(user)
    assert (begun.status_code, begun.json()["status"]) == (201, "PENDING")
    assert begun.json()["missing"] == [
        ["driving_licence", "national_identity_card", "passport", "residence_permit"]
    ]
    document = (await world.upload(user)).json()
    assert (document["mediaType"], document["zoneRead"]) == ("image/jpeg", False)
    started = await world.verify(user, {document["documentId"]: zone()})
    assert (started.status_code, started.json()["state"]) == (202, "CHECKING")

    found = await world.ends(user, "VERIFIED")
    # The passport ends in 2030; the level in two years.
    assert (found["status"], found["verifiedLevel"]) == ("VERIFIED", "BASIC")
    profile = (await world.profile(user)).json()
    assert profile["identity"] == {
        name: value for name, value in stated().items() if name != "address"
    }
    assert profile["address"] == stated()["address"]
    assert profile["documents"][0]["expiresOn"] == "2030-12-31"
    (event,) = await announced(world, user)
    assert (event.status, event.level) == ("verified", "BASIC")
    assert found["expiresAt"].startswith(event.valid_until.isoformat()[:19])
    query = "select sealed from compliance.kyc_profile where user_id = %s"
    ((sealed,),) = await execute(kyc_database, query, user)
    assert b"Eriksson" not in sealed


async def test_risk_gets_the_verified_name_of_a_payer_sealed_for_screening(world, user):
    await world.initiate(user, "Stated")
    found, reply = await world.names(user, "usr-unknown")
    assert found == {user: "Anna Maria Stated", "usr-unknown": None}
    assert "Stated" not in reply.text
    other = f"{user}-2"
    await world.checked(other)
    await world.ends(other, "VERIFIED")
    # What is stated afterwards counts once it is verified.
    assert (await world.initiate(other, "Renamed")).status_code == 201
    assert (await world.names(other))[0] == {other: "Anna Maria Eriksson"}
    refused = (await world.names(user, secret="wrong"))[1]
    assert refused.status_code == 401


async def test_a_person_decides_about_what_the_provider_is_not_sure_of(world, user):
    await world.checked(user, "Consider")
    await world.ends(user, "REVIEW")
    listed = await world.http.get("/admin/kyc", params={"limit": 100}, headers=REVIEWER)
    assert user in {one["user_id"] for one in listed.json()["reviews"]}
    shown = await world.http.get(f"/admin/kyc/{user}", headers=REVIEWER)
    document = shown.json()["documents"][0]["documentId"]
    path = f"/admin/kyc/{user}/documents/{document}"
    content = await world.http.get(path, headers=REVIEWER)
    assert (content.status_code, content.content[:3]) == (200, b"\xff\xd8\xff")

    body = {"decision": "REJECTED", "reason": "the picture is of another document"}
    path = f"/admin/kyc/{user}/decide"
    decided = await world.http.post(path, json=body, headers=REVIEWER)
    assert decided.json() == {"userId": user, "status": "REJECTED"}
    again = await world.http.post(path, json=body, headers=REVIEWER)
    assert (again.status_code, again.json()["details"]) == (409, "nothing waits for a decision")
    # Another round excuses nobody before it is verified.
    assert (await world.initiate(user)).json()["status"] == "REJECTED"
    await world.checked(user)
    await world.ends(user, "VERIFIED")
    assert [one.status for one in await announced(world, user, 2)] == ["rejected", "verified"]


@pytest.mark.parametrize("fault", ["webhook_lost", "webhook_twice", "webhook_late", "lose_answer"])
async def test_a_disturbed_provider_checks_a_person_once(world, user, faults, kyc_database, fault):
    # A lost answer comes again with another draw: a rate of one would lose every one.
    faults.switch(fault, 0.4 if fault == "lose_answer" else 1.0)
    await world.checked(user)
    if fault == "lose_answer":
        await asyncio.sleep(LOSSES_S)
        faults.heal()
    await world.ends(user, "VERIFIED")
    faults.heal()
    query = "select applicant_id, cardinality(sent) from compliance.kyc_check where user_id = %s"
    ((applicant, sent),) = await execute(kyc_database, query, user)
    header = {"Authorization": f"Token token={world.settings.kyc_provider_token.get()}"}
    async with httpx.AsyncClient(base_url=faults.url, headers=header) as http:
        listed = await http.get("/v3.6/checks", params={"applicant_id": applicant})
    checks = listed.json()["checks"]
    assert (len(checks), sent) == (1, 1)


async def test_one_document_of_two_people_is_looked_at_by_a_person(world, user):
    number, ends = uuid4().hex[:9].upper(), []
    for one in (user, user + "-2"):
        await world.initiate(one)
        document = (await world.upload(one)).json()["documentId"]
        assert (await world.verify(one, {document: zone(number=number)})).status_code == 202
        ends.append((await world.ends(one, "VERIFIED", "REVIEW"))["state"])
    assert ends == ["VERIFIED", "REVIEW"]


async def test_a_verification_ends_by_itself_and_is_announced(world, user, kyc_database):
    await world.checked(user)
    await world.ends(user, "VERIFIED")
    ended = "update compliance.kyc_profile set verified_until = now() where user_id = %s"
    await execute(kyc_database, ended, user)
    assert (await world.status(user))["status"] == "EXPIRED"
    assert [one.status for one in await announced(world, user, 2)] == ["verified", "expired"]


async def test_what_is_not_possible_now_is_refused(world, user):
    assert (await world.upload(user)).json()["details"] == "nothing was initiated"
    assert (await world.verify(user)).status_code == 409
    await world.initiate(user, level="ENHANCED")
    await world.upload(user)
    lacking = await world.verify(user)
    assert (lacking.status_code, lacking.json()["details"]) == (
        409,
        {"missing": [["bank_statement", "utility_bill"]]},
    )
    await world.upload(user, kind="utility_bill")
    assert (await world.verify(user)).status_code == 202
    for refused in (await world.initiate(user), await world.upload(user), await world.verify(user)):
        assert refused.status_code == 409


@pytest.mark.parametrize(
    ("content", "status", "why"),
    [
        (b"GIF89a", 400, "must be a JPEG, a PNG or a PDF"),
        (picture()[:500], 400, "cannot be read"),
        (b"\xff\xd8\xff" + bytes(10 * 1024 * 1024), 413, None),
    ],
)
async def test_an_upload_that_is_no_document_is_refused(world, user, content, status, why):
    await world.initiate(user)
    refused = await world.upload(user, content)
    assert refused.status_code == status
    if why:
        assert refused.json() == {"error": "Invalid field: document", "details": why}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (zone().replace("L8989", "L8988"), "document number: the check digit is wrong"),
        (zone("ERIKSEN"), "does not agree with the profile: surname"),
        (zone(ends=TODAY_ENDS), "the document has expired"),
        ("P<UTO", "must be two lines of 44 or 36 characters, or three of 30"),
    ],
)
async def test_a_zone_that_is_wrong_is_refused_by_its_part(world, user, text, why):
    await world.initiate(user)
    document = (await world.upload(user)).json()["documentId"]
    refused = await world.verify(user, {document: text})
    assert (refused.status_code, refused.json()) == (
        400,
        {"error": "Invalid field: zones", "details": why},
    )
    assert (await world.verify(user, {str(uuid4()): zone()})).status_code == 400
    assert (await world.status(user))["state"] == "INITIATED"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dateOfBirth", "2200-01-01"),
        ("dateOfBirth", "12.8.1974"),
        ("firstName", "<script>"),
        ("nationality", "Utopia"),
        ("level", "GOLD"),
        ("nickname", "Ann"),
    ],
)
async def test_a_field_that_breaks_its_rule_is_named_without_its_value(world, user, field, value):
    refused = await world.initiate(user, **{field: value})
    assert (refused.status_code, field in refused.json()["error"]) == (400, True)
    assert value not in refused.text


async def test_nobody_reads_another_person(world, user):
    await world.initiate(user)
    other = world.of("usr-other")
    for path in (f"{KYC}/{user}/status", f"{KYC}/{user}/profile", f"{KYC}/nobody/status"):
        assert (await world.http.get(path, headers=other)).status_code == 404
    without = {"Authorization": f"Bearer {token(sub=user, scope='payment.confirm')}"}
    assert (await world.http.get(f"{KYC}/{user}/status", headers=without)).status_code == 403
    assert (await world.http.get(f"/admin/kyc/{user}", headers=world.of(user))).status_code == 401


async def test_a_webhook_without_a_valid_signature_is_refused(world):
    for headers in ({}, {"X-SHA2-Signature": "0" * 64}):
        refused = await world.http.post(f"{KYC}/provider", content=b"{}", headers=headers)
        assert refused.status_code == 401


async def test_a_person_decides_where_the_provider_never_does(world, user, kyc_database):
    await world.checked(user, "Never")
    await execute(
        kyc_database,
        """update compliance.kyc_check set created_at = now() - interval '73 hours'
           where user_id = %s""",
        user,
    )
    await world.ends(user, "REVIEW")
