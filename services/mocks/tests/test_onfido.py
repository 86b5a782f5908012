"""The mock of the identity provider, in its own forms, and deterministic by the name."""

import asyncio

import pytest

from mocks.onfido.app import create
from mocks.settings import OnfidoSettings

AUTH = {"Authorization": "Token token=api"}
PERSON = {"first_name": "Ann", "last_name": "Eriksson", "dob": "1974-08-12"}
PICTURE = b"\xff\xd8\xff" + bytes(3000)


@pytest.fixture
def settings(secret_file):
    return OnfidoSettings(
        profile="dev",
        check_takes_s=0,
        check_slow_s=600,
        KYC_PROVIDER_TOKEN_FILE=secret_file("api", "api"),
        KYC_WEBHOOK_TOKEN_FILE=secret_file("hook", "hook"),
    )


@pytest.fixture
async def onfido(serve, clock, settings):
    async with serve(create(settings, clock)) as client:
        client.headers.update(AUTH)
        yield client


async def applicant(onfido, **fields):
    return (await onfido.post("/v3.6/applicants", json=PERSON | fields)).json()["id"]


async def upload(onfido, own, content=PICTURE):
    form = {"applicant_id": own, "type": "passport"}
    file = {"file": ("document.jpg", content, "image/jpeg")}
    return await onfido.post("/v3.6/documents", data=form, files=file)


async def check(onfido, own):
    body = {"applicant_id": own, "report_names": ["document"]}
    begun = await onfido.post("/v3.6/checks", json=body)
    assert (begun.status_code, begun.json()["status"]) == (201, "in_progress")
    return begun.json()["id"]


async def completed(onfido, check_id):
    for _ in range(200):
        found = (await onfido.get(f"/v3.6/checks/{check_id}")).json()
        if found["status"] == "complete":
            return found["result"]
        await asyncio.sleep(0.01)
    return None


@pytest.mark.parametrize(("name", "result"), [("Eriksson", "clear"), ("Consider", "consider")])
async def test_the_name_decides(onfido, name, result):
    own = await applicant(onfido, last_name=name)
    document = (await upload(onfido, own)).json()
    assert (document["file_type"], document["type"]) == ("jpg", "passport")
    assert await completed(onfido, await check(onfido, own)) == result
    listed = (await onfido.get("/v3.6/checks", params={"applicant_id": own})).json()
    assert len(listed["checks"]) == 1


async def test_a_deleted_applicant_takes_all_with_it(onfido):
    own = await applicant(onfido)
    await upload(onfido, own)
    check_id = await check(onfido, own)
    assert (await onfido.delete(f"/v3.6/applicants/{own}")).status_code == 204
    for path in (f"/v3.6/applicants/{own}", f"/v3.6/checks/{check_id}"):
        assert (await onfido.get(path)).status_code == 404
    listed = (await onfido.get("/v3.6/documents", params={"applicant_id": own})).json()
    assert listed == {"documents": []}


async def test_what_onfido_refuses_is_refused(onfido):
    own = await applicant(onfido)
    for content in (b"GIF89a" + bytes(3000), b"\xff\xd8\xff"):
        assert (await upload(onfido, own, content)).status_code == 422
    body = {"applicant_id": own, "report_names": ["document"]}
    assert (await onfido.post("/v3.6/checks", json=body)).status_code == 422
    assert (await onfido.post("/v3.6/applicants", json={"last_name": "x"})).status_code == 422
    assert (await onfido.post("/v3.6/applicants", content=b"[")).status_code == 422
    onfido.headers["Authorization"] = "Token token=other"
    refused = await onfido.post("/v3.6/applicants", json=PERSON)
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authorization_error")
