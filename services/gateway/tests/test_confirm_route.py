"""`POST /payment/confirm`: refusals in order, the command, the reply, 202 and 503."""

import logging
from ipaddress import ip_network

import pytest
from gateway_edge import BODY, NAME_KEY, OK, SEALING_KEY, TAG_KEY

from payment_schemas.answers import Answer, in_progress
from payment_schemas.ids import payment_id_of
from service_runtime.refusals import hashed_subject
from service_runtime.sealing import Sealer, keyed_hash
from service_runtime.web import MAX_BODY_BYTES
from testkit.tokens import token

LARGE = b'{"transaction_id":"' + b"x" * 16 * 1024 + b'"}'
HUGE = b"x" * (MAX_BODY_BYTES + 1)
NO_TOKEN = {"user": None}
BAD_TOKEN = {"headers": {"Authorization": "Bearer not.a.token"}}
NO_SCOPE = {"headers": {"Authorization": f"Bearer {token(scope='other')}"}}
TEXT = {"headers": {"Content-Type": "text/plain"}}
UNAUTHORIZED = '{"error":"Unauthorized","details":"A bearer token is required"}'

ROWS = [
    pytest.param({**TEXT, "body": LARGE, "user": None}, 415, '{"error":"Unsupported media type"}'),
    pytest.param({**TEXT, "body": HUGE}, 415, '{"error":"Unsupported media type"}'),
    pytest.param({"headers": {"Content-Type": ""}}, 415, '{"error":"Unsupported media type"}'),
    pytest.param({"body": HUGE}, 413, '{"error":"Body too large"}'),
    pytest.param({"body": LARGE, "user": None}, 413, '{"error":"Body too large"}'),
    pytest.param({"body": b"x" * 16 * 1024 + b"x"}, 413, '{"error":"Body too large"}'),
    pytest.param({"body": b"x" * 16 * 1024}, 400, '{"error":"Malformed JSON"}'),
    pytest.param({**NO_TOKEN, "body": b"{"}, 401, UNAUTHORIZED),
    pytest.param(
        {**BAD_TOKEN, "body": b"{"}, 401, '{"error":"Unauthorized","details":"token: malformed"}'
    ),
    pytest.param(
        {**NO_SCOPE, "body": b"{"},
        403,
        '{"error":"Forbidden","details":"Scope payment.confirm required"}',
    ),
    pytest.param({"body": b"{"}, 400, '{"error":"Malformed JSON"}'),
    pytest.param({"body": b"[1]"}, 400, '{"error":"Malformed JSON"}'),
    pytest.param({"body": b""}, 400, '{"error":"Malformed JSON"}'),
    pytest.param({"body": b"\xff{}"}, 400, '{"error":"Malformed JSON"}'),
    pytest.param({"body": b"[" * 9000}, 400, '{"error":"Malformed JSON"}'),
    pytest.param({"body": b'{"a":NaN}'}, 400, '{"error":"Malformed JSON"}'),
    pytest.param({"body": b'{"foo":1,"amount":-1}'}, 400, '{"error":"Unknown field: foo"}'),
    pytest.param({"body": b'{"amount":-1}'}, 400, '{"error":"Missing field: transaction_id"}'),
    pytest.param(
        {"idempotency_key": None, "amount": -1}, 400, '{"error":"Missing field: idempotency_key"}'
    ),
    pytest.param(
        {"amount": -1},
        400,
        '{"error":"Invalid field: amount","details":"must be positive, with at most 2 decimals"}',
    ),
    pytest.param(
        {"amount": "5.001"},
        400,
        '{"error":"Invalid field: amount","details":"must be positive, with at most 2 decimals"}',
    ),
    pytest.param(
        {"headers": {"Idempotency-Key": "other"}},
        400,
        '{"error":"Invalid field: idempotency_key",'
        '"details":"must agree with the Idempotency-Key header"}',
    ),
    pytest.param(
        {"otp_code": "12345"},
        400,
        '{"error":"Invalid field: otp_code","details":"must be 6 digits"}',
    ),
    pytest.param(
        {"to_account": "4111111111111111"},
        400,
        '{"error":"Invalid field: to_account","details":"must not be a card number"}',
    ),
    pytest.param(
        {"transaction_id": ".."},
        400,
        '{"error":"Invalid field: transaction_id","details":"must contain a letter or digit"}',
    ),
    pytest.param(
        {"idempotency_key": "4111 1111 1111 1111"},
        400,
        '{"error":"Invalid field: idempotency_key","details":"must not be a card number"}',
    ),
    pytest.param(
        {"amount": "1.000"},
        400,
        '{"error":"Invalid field: amount","details":"must be positive, with at most 2 decimals"}',
    ),
    pytest.param(
        {"currency": "KWD"}, 400, '{"error":"Invalid field: currency","details":"is not supported"}'
    ),
]


@pytest.mark.parametrize(("request_fields", "status", "body"), ROWS)
async def test_a_refused_request_gets_the_exact_body_and_never_reaches_confirm(
    edge, request_fields, status, body
):
    answer = await edge.post(**request_fields)

    assert (answer.status_code, answer.text) == (status, body)
    assert answer.headers["content-type"] == "application/json"
    assert "x-request-id" in answer.headers
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert edge.commands == []


async def test_over_the_limit_429_comes_after_the_scope_and_before_the_body(edge):
    for _ in range(10):
        assert (await edge.post()).status_code == 200
    edge.clock.pass_time(seconds=37)

    limited = await edge.post(b"{")

    assert (limited.status_code, limited.text) == (429, '{"error":"Too many requests"}')
    assert limited.headers["retry-after"] == "23"
    assert limited.headers["ratelimit-policy"] == '"user";q=10;w=60'
    assert limited.headers["ratelimit"] == '"user";r=0;t=23'
    assert (await edge.post(**NO_SCOPE)).status_code == 403
    assert (await edge.post(user="usr-457")).status_code == 200
    edge.clock.pass_time(seconds=23)
    assert (await edge.post()).status_code == 200


@pytest.mark.parametrize(
    "counted",
    [
        pytest.param({"body": b"{"}, id="malformed"),
        pytest.param({"amount": -1}, id="invalid"),
        pytest.param(NO_SCOPE, id="without the scope"),
    ],
)
async def test_every_authenticated_post_counts_whatever_its_response(edge, counted):
    for _ in range(10):
        await edge.post(**counted)

    assert (await edge.post()).status_code == 429


@pytest.mark.parametrize("free", [NO_TOKEN, BAD_TOKEN, TEXT, {"body": LARGE}])
async def test_an_unauthenticated_request_does_not_count_for_a_user(edge, free):
    for _ in range(11):
        await edge.post(**free)

    assert (await edge.post()).status_code == 200


async def test_reads_and_writes_have_separate_limits(edge):
    for _ in range(30):
        assert (await edge.read()).status_code == 404

    assert (await edge.post()).status_code == 200


async def test_failed_authentications_are_limited_by_address_and_block_no_valid_token(make_edge):
    edge = make_edge(failures=3)
    told = [(await edge.post(**BAD_TOKEN)).status_code for _ in range(4)]

    assert told == [401, 401, 401, 429]
    limited = await edge.read(user=None)
    assert (limited.status_code, limited.text) == (429, '{"error":"Too many requests"}')
    assert int(limited.headers["retry-after"]) == 60
    assert (await edge.post()).status_code == 200


async def test_the_command_has_the_fields_of_the_request(edge):
    answer = await edge.post(
        amount="5200.00",
        currency="USD",
        headers={"X-Device-Fingerprint": "dev-1", "X-Client-Country": "US"},
    )

    (command,) = edge.commands
    assert str(command.request_id) == answer.headers["x-request-id"]
    assert (command.user_id, command.transaction_id) == ("usr-456", "tx-987")
    assert (command.amount, command.currency) == ("5200.00", "USD")
    assert (command.from_account, command.to_account) == ("acc-1", "payee-xyz")
    assert command.context.ip_address == "192.0.2.7"
    assert command.context.device_fingerprint == "dev-1"
    assert command.context.country is None
    assert (command.sealed_code, command.code_tag) == (None, None)


async def test_a_code_is_in_the_command_sealed_and_tagged_only(edge):
    await edge.post(otp_code="789012")

    (command,) = edge.commands
    payment_id = payment_id_of("usr-456", "tx-987")
    assert Sealer(SEALING_KEY).open(command.sealed_code, payment_id).reveal() == "789012"
    assert command.code_tag == keyed_hash(TAG_KEY, "usr-456", "tx-987", "789012")
    assert "789012" not in command.model_dump_json()


async def test_a_payees_name_is_in_the_command_sealed_only(edge):
    await edge.post(to_name="Zoe\u0301 O'Brien")

    (command,) = edge.commands
    payment_id = payment_id_of("usr-456", "tx-987")
    opened = Sealer(NAME_KEY).open(command.sealed_to_name, payment_id)
    assert opened.reveal() == "Zo\u00e9 O'Brien"
    assert "Brien" not in command.model_dump_json()


async def test_what_funds_a_payment_is_in_the_command(edge):
    await edge.post(instrument="CASH", branch="branch-1")
    (command,) = edge.commands
    assert (command.instrument, command.branch) == ("CASH", "branch-1")


async def test_without_a_name_the_command_has_none(edge):
    await edge.post()
    assert edge.commands[0].sealed_to_name is None


async def test_a_name_of_other_characters_is_refused_without_it(edge):
    answer = await edge.post(to_name="Zoe<script>")
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid field: to_name")
    assert "Zoe" not in answer.text
    assert not edge.commands


async def test_the_idempotency_key_may_be_in_the_header_only(edge):
    answer = await edge.post(idempotency_key=None, headers={"Idempotency-Key": "from-header"})

    assert answer.status_code == 200
    assert edge.commands[0].idempotency_key == "from-header"


async def test_with_strict_keys_an_idempotency_key_must_be_a_uuid(make_edge):
    edge = make_edge(strict=True)

    answer = await edge.post()

    body = '{"error":"Invalid field: idempotency_key","details":"must be a UUIDv4"}'
    assert (answer.status_code, answer.text) == (400, body)
    assert (await edge.post(idempotency_key="8f0d6a5e-2f0c-4b7e-9d3b-0a6a8f7f1c11")).is_success


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (TRACE, (("traceparent", f"{TRACE[:-2]}00"),)),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", ()),
        ("nonsense", ()),
    ],
)
async def test_a_well_formed_trace_is_continued_unsampled(edge, given, kept):
    await edge.post(headers={"traceparent": given})

    assert edge.confirmation.sent[0][1] == kept


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        OK.with_headers(Idempotent_Replayed="true"),
        in_progress(),
        Answer(401, '{"error":"Invalid OTP","details":"Code does not match or expired"}'),
    ],
)
async def test_confirms_reply_is_returned_byte_for_byte(make_edge, answer):
    edge = make_edge(answer=answer)

    got = await edge.post()

    assert (got.status_code, got.text) == (answer.status, answer.body)
    for name, value in answer.headers:
        assert got.headers[name] == value
    assert "x-request-id" in got.headers


async def test_without_a_reply_in_time_the_response_is_202_with_a_location(make_edge):
    edge = make_edge(answer=None)

    got = await edge.post()

    assert (got.status_code, got.text) == (202, '{"status":"PENDING","transaction_id":"tx-987"}')
    assert got.headers["location"] == "/payment/tx-987"
    assert got.headers["retry-after"] == "1"


async def test_without_a_broker_the_response_is_503(edge):
    edge.confirmation.reachable = False

    got = await edge.post()

    assert (got.status_code, got.text) == (503, '{"error":"Service unavailable"}')
    assert got.headers["retry-after"] == "1"


async def test_a_full_gateway_responds_503_before_it_checks_the_token(edge):
    edge.confirmation.is_full = True

    got = await edge.post()

    assert (got.status_code, got.text) == (503, '{"error":"Service unavailable"}')
    assert got.headers["retry-after"] == "1"
    assert edge.commands == []
    assert edge.keys.fetched == 0


async def test_without_the_issuers_keys_every_request_is_503(edge):
    edge.keys.reachable = False

    assert (await edge.post()).status_code == 503
    assert (await edge.read()).status_code == 503
    assert edge.commands == []


async def test_in_development_a_request_without_a_token_acts_as_the_development_user(make_edge):
    edge = make_edge(anonymous="usr-456")

    assert (await edge.post(user=None)).status_code == 200
    assert (await edge.post(**BAD_TOKEN)).status_code == 401
    assert [command.user_id for command in edge.commands] == ["usr-456"]


async def test_an_internal_error_is_500_without_details(make_edge):
    edge = make_edge()
    edge.confirmation.ask = None

    got = await edge.post()

    assert (got.status_code, got.text) == (500, '{"error":"Internal error"}')
    assert "x-request-id" in got.headers


@pytest.mark.parametrize("path", ["/payment/confirm/", "/payment/tx-987/", "/payment/", "/payment"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_trailing_slash_is_not_found_and_never_redirected(edge, method, path):
    got = await edge.http.request(method, path, json={})

    assert (got.status_code, got.text) == (404, '{"error":"Not found"}')
    assert "location" not in got.headers


def with_two(edge, name, *values, **changes):
    """Post with one line of a header for each value."""
    given = {"Content-Type": "application/json", "Authorization": f"Bearer {token()}"}
    given.pop(name, None)
    pairs = [*given.items(), *((name, value) for value in values)]
    return edge.http.post("/payment/confirm", json={**BODY, **changes}, headers=pairs)


@pytest.mark.parametrize("keys", [("abc-123", "other"), ("other", "abc-123"), ("one", "two")])
async def test_two_different_idempotency_keys_are_refused_by_name(edge, keys):
    got = await with_two(edge, "Idempotency-Key", *keys)

    body = '{"error":"Invalid field: idempotency_key","details":"given twice"}'
    assert (got.status_code, got.text) == (400, body)
    assert edge.commands == []


async def test_two_equal_idempotency_keys_count_as_one(edge):
    assert (await with_two(edge, "Idempotency-Key", "abc-123", "abc-123")).status_code == 200


async def test_two_idempotency_keys_are_refused_after_unknown_and_missing_fields(edge):
    got = await with_two(edge, "Idempotency-Key", "one", "two", foo=1)

    assert got.text == '{"error":"Unknown field: foo"}'


@pytest.mark.parametrize(
    ("name", "values", "status"),
    [
        ("Authorization", (f"Bearer {token()}", f"Bearer {token(sub='usr-457')}"), 401),
        ("Content-Type", ("application/json", "text/plain"), 415),
        ("X-Device-Fingerprint", ("one", "two"), 200),
        ("X-Client-Country", ("US", "KP"), 200),
    ],
)
async def test_of_two_different_headers_neither_is_used(make_edge, name, values, status):
    edge = make_edge(proxies=[ip_network("192.0.2.7")])

    assert (await with_two(edge, name, *values)).status_code == status
    for command in edge.commands:
        assert command.context.device_fingerprint is None
        assert command.context.country is None


async def test_a_key_that_is_not_ascii_is_refused_by_name(edge):
    got = await edge.post(
        idempotency_key=None, headers={"Idempotency-Key": "\xff\xfe".encode("latin-1")}
    )

    assert (got.status_code, got.json()["error"]) == (400, "Invalid field: idempotency_key")


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (BAD_TOKEN, {"status": 401, "reason": "token: malformed"}),
        (NO_SCOPE, {"status": 403, "reason": "scope", "subject": hashed_subject("usr-456")}),
    ],
)
async def test_a_repeated_refusal_is_logged_once(edge, caplog, asked, line):
    caplog.set_level(logging.WARNING, "countersign.refusals")
    for _ in range(5):
        await edge.post(**asked)

    (written,) = [record.fields for record in caplog.records if record.msg == "refused"]
    assert written == {**line, "address": "192.0.2.7", "count": 1}


async def test_a_request_over_the_limit_is_logged(edge, caplog):
    caplog.set_level(logging.WARNING, "countersign.refusals")
    for _ in range(12):
        await edge.post()

    (written,) = [record.fields for record in caplog.records if record.msg == "refused"]
    assert (written["status"], written["reason"]) == (429, "user")


async def test_an_invalid_request_is_logged_without_its_values(edge, caplog):
    caplog.set_level(logging.WARNING, "countersign.refusals")
    for _ in range(3):
        await edge.post(to_account="4111111111111111")

    (written,) = [record.fields for record in caplog.records if record.msg == "refused"]
    subject = hashed_subject("usr-456")
    about = {"status": 400, "reason": "body", "subject": subject, "address": "192.0.2.7"}
    assert written == {**about, "count": 1}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_unknown_paths_are_404_with_a_json_error(edge, method):
    got = await edge.http.request(method, "/payment/confirm/more")

    assert (got.status_code, got.json()) == (404, {"error": "Not found"})
    assert "x-request-id" in got.headers
