import httpx
import pytest
from python_http_client.exceptions import BadRequestsError, UnauthorizedError
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import CustomArg, Mail, Personalization, Substitution, To

from mocks.sendgrid.app import create
from mocks.settings import SendgridSettings

KEY = "SG.key-of-the-mock"


@pytest.fixture
def process(secret_file, clock):
    key_file = secret_file("sendgrid", KEY)
    return create(SendgridSettings(profile="dev", SENDGRID_API_KEY_FILE=key_file), clock)


@pytest.fixture
async def mock(serve, process):
    async with serve(process) as client:
        client.headers["Authorization"] = f"Bearer {KEY}"
        yield client


@pytest.fixture
def address(serve_on_a_port, process):
    return serve_on_a_port(process)


def mail(to="usr-456@example.com", delivery_id="d-1"):
    request = Mail("pay@countersign.example", to, "Confirmed", "5,200.00 USD is on its way")
    if delivery_id:
        request.custom_arg = CustomArg("delivery_id", delivery_id)
    return request


def to(*addresses, **more):
    return {"to": [{"email": address} for address in addresses], **more}


def body(**changed):
    return {
        "personalizations": [{"to": [{"email": "usr-456@example.com"}]}],
        "from": {"email": "pay@countersign.example"},
        "subject": "Confirmed",
        "content": [{"type": "text/plain", "value": "On its way"}],
        **changed,
    }


def test_the_real_sdk_sends(address):
    answer = SendGridAPIClient(KEY, host=address).send(mail())
    assert answer.status_code == 202
    listed = httpx.get(f"{address}/messages", params={"to": "usr-456@example.com"}).json()
    assert listed["messages"] == [
        {
            "sid": answer.headers["X-Message-Id"],
            "to": "usr-456@example.com",
            "from": "pay@countersign.example",
            "subject": "Confirmed",
            "body": "5,200.00 USD is on its way",
            "delivery_id": "d-1",
            "received": 1,
        }
    ]


def test_the_real_sdk_sends_many_mails_in_one_request(address):
    request = Mail("pay@countersign.example", subject="-what-", plain_text_content="Dear -who-.")
    for who, what in (("Ann", "Confirmed"), ("-what-", "Declined")):
        one = Personalization()
        one.add_to(To("usr-456@example.com"))
        one.add_substitution(Substitution("-who-", who))
        one.add_substitution(Substitution("-what-", what))
        one.add_custom_arg(CustomArg("delivery_id", f"d-{what}"))
        request.add_personalization(one)
    answer = SendGridAPIClient(KEY, host=address).send(request)
    listed = httpx.get(f"{address}/messages").json()["messages"]
    assert {one["sid"] for one in listed} == {answer.headers["X-Message-Id"]}
    assert sorted((one["subject"], one["body"], one["delivery_id"]) for one in listed) == [
        ("Confirmed", "Dear Ann.", "d-Confirmed"),
        # A text that was put in is not searched again.
        ("Declined", "Dear -what-.", "d-Declined"),
    ]


def test_the_real_sdk_gets_the_first_message_for_a_repeated_delivery(address):
    client = SendGridAPIClient(KEY, host=address)
    ids = {client.send(mail()).headers["X-Message-Id"] for _ in range(3)}
    listed = httpx.get(f"{address}/messages").json()["messages"]
    assert [(one["sid"], one["received"]) for one in listed] == [(ids.pop(), 3)]
    assert not ids


def test_the_real_sdk_raises_for_a_wrong_key_and_a_bad_address(address):
    with pytest.raises(UnauthorizedError):
        SendGridAPIClient("SG.guess", host=address).send(mail())
    wrong = {**mail().get(), "from": {"email": "nobody"}}
    with pytest.raises(BadRequestsError) as refused:
        SendGridAPIClient(KEY, host=address).send(wrong)
    assert refused.value.to_dict["errors"][0]["field"] == "from.email"
    assert httpx.get(f"{address}/messages").json() == {"messages": []}


async def test_sending_requires_the_key(mock):
    del mock.headers["Authorization"]
    assert (await mock.post("/v3/mail/send", json=body())).status_code == 401


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"personalizations": []}, "personalizations"),
        ({"personalizations": [{"to": []}]}, "personalizations.0.to"),
        (
            {"personalizations": [{"to": [{"email": "no address"}]}]},
            "personalizations.0.to.0.email",
        ),
        ({"content": [{"type": "text/plain", "value": ""}]}, "content.0.value"),
        ({"custom_args": {"delivery_id": 7}}, "custom_args.delivery_id"),
        ({"from": None}, "from"),
        ({"personalizations": [to(f"{n}@b") for n in range(1001)]}, "personalizations"),
        (
            {"personalizations": [to("a@b", *(f"{n}@b" for n in range(500)))] * 2},
            "personalizations",
        ),
        ({"personalizations": [{"subject": "No recipient"}]}, "personalizations.0.to"),
        ({"personalizations": [to("a@b", "A@b")]}, "personalizations.0.to"),
        (
            {"personalizations": [to("a@b", substitutions={"-text-": "x" * 10_000})]},
            "personalizations.0.substitutions",
        ),
        ({"personalizations": [to("a@b", subject="Own"), to("c@d")], "subject": ""}, "subject"),
    ],
)
async def test_a_bad_field_is_refused_as_sendgrid_does(mock, changed, field):
    answer = await mock.post("/v3/mail/send", json=body(**changed))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


async def test_a_thousand_mails_with_their_own_subjects_are_one_request(mock):
    many = [to(f"{number}@b", subject="Own") for number in range(1000)]
    answer = await mock.post("/v3/mail/send", json=body(personalizations=many, subject=""))
    listed = (await mock.get("/messages")).json()["messages"]
    assert (answer.status_code, len(listed)) == (202, 1000)


async def test_a_request_with_a_new_mail_gets_a_new_id(mock):
    def request(*numbers):
        mails = [to(f"{n}@b", custom_args={"delivery_id": f"d-{n}"}) for n in numbers]
        return mock.post("/v3/mail/send", json=body(personalizations=mails))

    ids = [(await request(*numbers)).headers["X-Message-Id"] for numbers in ([1], [1, 2], [1])]
    listed = (await mock.get("/messages")).json()["messages"]
    assert [(one["sid"], one["received"]) for one in listed] == [(ids[0], 3), (ids[1], 1)]
    assert ids[2] == ids[0] != ids[1]


async def test_mails_of_one_request_without_a_delivery_id_are_no_repeats(mock):
    await mock.post("/v3/mail/send", json=body(personalizations=[to("a@b"), to("a@b")]))
    assert len((await mock.get("/messages")).json()["messages"]) == 2


async def test_a_body_that_is_not_json_is_refused(mock):
    answer = await mock.post("/v3/mail/send", content=b"{")
    assert answer.json()["errors"] == [{"message": "Malformed JSON", "field": None, "help": None}]


async def test_two_recipients_of_one_mail_are_two_messages(mock):
    to = [{"email": "a@example.com"}, {"email": "b@example.com"}]
    personalizations = [{"to": to, "custom_args": {"delivery_id": "d-2"}}]
    for _ in range(2):
        await mock.post("/v3/mail/send", json=body(personalizations=personalizations))
    listed = (await mock.get("/messages")).json()["messages"]
    assert [(one["to"], one["delivery_id"], one["received"]) for one in listed] == [
        ("a@example.com", "d-2", 2),
        ("b@example.com", "d-2", 2),
    ]
