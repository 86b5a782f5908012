import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from mocks.settings import TwilioSettings
from mocks.twilio.app import create

ACCOUNT = "AC" + "0" * 32
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
CALLBACK = "https://countersign.example/deliveries/"


@pytest.fixture
def process(secret_file, clock):
    token_file = secret_file("twilio", "token-of-the-mock\n")
    return create(TwilioSettings(profile="dev", TWILIO_AUTH_TOKEN_FILE=token_file), clock)


@pytest.fixture
async def mock(serve, process):
    async with serve(process) as client:
        client.auth = httpx.BasicAuth(ACCOUNT, "token-of-the-mock")
        yield client


def form(**changed):
    fields = {"To": "+15550100456", "From": "+15550100000", "Body": "Your code", **changed}
    return {name: value for name, value in fields.items() if value is not None}


@pytest.fixture
def address(serve_on_a_port, process):
    return serve_on_a_port(process)


TOKEN = "token-of-the-mock"


def sdk(address, token=TOKEN):
    client = Client(ACCOUNT, token, http_client=TwilioHttpClient(timeout=5))
    client.api.base_url = address
    return client


def test_the_real_sdk_sends_and_reads_the_response(address):
    sent = sdk(address).messages.create(
        to="+15550100456",
        from_="+15550100000",
        body="Pay 5,200.00",
        status_callback=CALLBACK + "d-1",
    )
    assert sent.sid.startswith("SM")
    assert (sent.status, sent.to, sent.body) == ("queued", "+15550100456", "Pay 5,200.00")
    assert sent.date_created.year == 2026
    listed = httpx.get(f"{address}/messages", params={"to": "+15550100456"}).json()["messages"]
    assert listed == [
        {
            "sid": sent.sid,
            "to": "+15550100456",
            "from": "+15550100000",
            "body": "Pay 5,200.00",
            "delivery_id": "d-1",
            "received": 1,
        }
    ]


def test_the_real_sdk_gets_the_first_message_for_a_repeated_delivery(address):
    asked = {"to": "+15550100456", "from_": "+15550100000", "status_callback": CALLBACK + "d-1"}
    sids = {sdk(address).messages.create(body="Your code", **asked).sid for _ in range(3)}
    listed = httpx.get(f"{address}/messages").json()["messages"]
    assert [(one["sid"], one["received"]) for one in listed] == [(sids.pop(), 3)]
    assert not sids


def test_the_real_sdk_raises_twilios_code_for_a_refused_number(address):
    with pytest.raises(TwilioRestException) as refused:
        sdk(address).messages.create(to="+15005550001", from_="+15550100000", body="Your code")
    assert (refused.value.status, refused.value.code) == (400, 21211)
    assert httpx.get(f"{address}/messages").json() == {"messages": []}


def test_the_real_sdk_raises_for_a_wrong_token(address):
    with pytest.raises(TwilioRestException) as refused:
        sdk(address, "guess").messages.create(to="+15550100456", from_="+1555", body="Your code")
    assert (refused.value.status, refused.value.code) == (401, 20003)


@pytest.mark.parametrize(
    "auth",
    [
        pytest.param(None, id="none"),
        pytest.param("Basic !", id="not base64"),
        pytest.param("Bearer token-of-the-mock", id="another scheme"),
        pytest.param(httpx.BasicAuth("AC" + "1" * 32, "token-of-the-mock")._auth_header, id="sid"),
    ],
)
async def test_sending_requires_the_credential(mock, auth):
    mock.auth = None
    answer = await mock.post(PATH, data=form(), headers={"Authorization": auth} if auth else {})
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"To": None}, 21604),
        ({"From": None}, 21603),
        ({"Body": None}, 21602),
        ({"Body": ""}, 21602),
        ({"To": "5550100456"}, 21211),
        ({"To": "+15550100456; drop"}, 21211),
        ({"Body": "x" * 1601}, 21617),
    ],
)
async def test_a_bad_field_is_refused_with_twilios_code(mock, changed, code):
    answer = await mock.post(PATH, data=form(**changed))
    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (400, code, 400)


@pytest.mark.parametrize("body", [b"\xff=1", b"&".join(b"a%d=1" % n for n in range(60))])
async def test_a_body_that_is_no_bounded_form_is_refused(mock, body):
    answer = await mock.post(PATH, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


@pytest.mark.parametrize(
    ("callback", "delivery_id"),
    [(None, None), ("https://a.example", None), ("https://a.example/x/d-9/?retry=1", "d-9")],
)
async def test_the_delivery_id_is_the_last_part_of_the_callbacks_path(mock, callback, delivery_id):
    await mock.post(PATH, data=form(StatusCallback=callback))
    (listed,) = (await mock.get("/messages")).json()["messages"]
    assert listed["delivery_id"] == delivery_id


async def test_messages_are_listed_by_number_even_with_a_plain_plus(mock):
    await mock.post(PATH, data=form())
    await mock.post(PATH, data=form(To="+15550100457"))
    for query in ("to=%2B15550100457", "to=+15550100457"):
        listed = (await mock.get(f"/messages?{query}")).json()["messages"]
        assert [one["to"] for one in listed] == ["+15550100457"]
