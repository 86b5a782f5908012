"""Every parser of bytes from outside reads them or refuses them by its own error, never another.

Each is given what nobody would send, and what is almost right: a valid value with a part replaced.
"""

import asyncio
import base64
import json
import os
import tempfile
from datetime import UTC, date, datetime
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from fastapi import HTTPException
from hypothesis import strategies as st
from starlette.requests import Request

from confirm.clients.opening import Opening
from countersign_client.answers import Answer
from countersign_client.errors import CountersignError, UnexpectedAnswer, error_of
from countersign_client.results import CodeRequired, Confirmed, Payment
from gateway.clients.reads import ConfirmReads, PaymentView
from notification.clients import SendgridMail, TwilioAccount, TwilioSms
from notification.clients.http_transport import HttpResponse as ProviderResponse
from notification.domain import Attempt, Message
from ops.check.replays import _object_in
from ops.clients.provider import _fields
from ops.clients.sessions import Signed
from otp.clients import _parse as parse_contacts
from payment_schemas.answers import RefusedError
from payment_schemas.cloudevents import (
    Attributes,
    MalformedRecordError,
    headers_of,
    read_attributes,
    read_event,
)
from payment_schemas.confirm_body import confirm_body_of, parse_confirm_body
from payment_schemas.encrypted import MAX_ENCRYPTED_BYTES, content_of, header_of
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.registry import EVENTS
from payment_schemas.sealed import Personal, Sealed
from risk.clients import Kyc, Ofac
from service_runtime.callers import BadTokenError, Caller, bearer_token, caller_of
from service_runtime.edge.addresses import client_address
from service_runtime.encryption_keys import new_block, opening_keys, text_of
from service_runtime.errors import Invariant, Rejected, Unavailable
from service_runtime.fetched import TolerantRecords, is_readable, readable
from service_runtime.file_keys import FileKeys
from service_runtime.files import _expected, _range_of
from service_runtime.http_client import HttpClient, HttpResponse
from service_runtime.http_unit import version_of
from service_runtime.imports import FileLines
from service_runtime.keys import KeyRing
from service_runtime.message_macs import MessageMacs
from service_runtime.object_store import FolderStore
from service_runtime.paging import Keyset
from service_runtime.proving import proof_of
from service_runtime.sealing import (
    Sealer,
    public_keys,
    sign,
    verify_signature,
)
from service_runtime.tokens import TokenRules, TokenVerifier
from settlement.clients import HttpPartnerBank, responses_of
from settlement.domain import BankResponse, Kind
from testbed.fuzzing import fuzzed
from testkit.events import NOON, event_of, outgoing_of, received
from testkit.tokens import AUDIENCE, ISSUER, KEYS, MemoryKeys, claims, raw_token, token

# Texts with lone surrogates, which JSON can hold and UTF-8 cannot.
TEXTS = st.text(max_size=40) | st.text(st.characters(), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
BYTES = st.binary(max_size=300)
NUMBERS = st.integers(0).map(str) | st.just("9" * 5000) | st.text("0123456789²٣", max_size=5)


def outcome(act, *errors):
    """Return what an act returns, or the error of its own that it raises."""
    try:
        return act()
    except errors as refused:
        return refused


def almost(good):
    """Return a strategy of a JSON value with one part, at any depth, replaced or removed."""
    places = list(_places(good))
    return st.builds(_replaced, st.just(good), st.sampled_from(places), JSON | st.just(...))


def _places(value, path=()):
    yield path
    children = enumerate(value) if isinstance(value, list) else ()
    for key, child in value.items() if isinstance(value, dict) else children:
        yield from _places(child, (*path, key))


def _replaced(value, path, new):
    if not path:
        return None if new is ... else new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and new is ...:
        del copy[path[0]]
    else:
        copy[path[0]] = _replaced(copy[path[0]], path[1:], new)
    return copy


def mutated(good):
    """Return a strategy of bytes with some replaced, added or cut off."""
    at = st.integers(0, len(good))
    return st.builds(lambda a, b, new: good[: min(a, b)] + new + good[max(a, b) :], at, at, BYTES)


def as_json(value):
    return json.dumps(value).encode()


BODY = {
    "transaction_id": "t-1",
    "idempotency_key": "k-1",
    "amount": "50.00",
    "currency": "EUR",
    "from_account": "acc-1",
    "to_account": "acc-2",
    "otp_code": "123456",
}


@fuzzed(
    raw=BYTES | JSON.map(as_json) | almost(BODY).map(as_json) | mutated(as_json(BODY)),
    header=st.none() | TEXTS,
)
def test_a_confirm_body_is_read_or_refused_with_400(raw, header):
    found = outcome(lambda: parse_confirm_body(raw, header), RefusedError)
    if isinstance(found, RefusedError):
        assert found.answer.status == 400
        assert set(json.loads(found.answer.body)) <= {"error", "details"}
    else:
        assert found.transaction_id


REQUEST_KEYS = [
    opening_keys(text_of([new_block(kind, "fuzz", 2048)]), "fuzz")[0] for kind in ("EC", "RSA")
]
OPENED_AT = datetime.now(UTC)
PROOFS = [(key, proof_of(key)) for key in REQUEST_KEYS]


class _Ring:
    """The keys, without their files."""

    def find(self, kid, _at):
        return next((key for key in REQUEST_KEYS if key.kid == kid), None)


OPENING = Opening(_Ring(), FileKeys(), None, None, {"USD"})


def _almost_request():
    """Return a strategy of requests whose bytes, header or segments are almost right."""
    whole = [mutated(proof.encode()) for _, proof in PROOFS]
    headers = [
        st.builds(
            lambda changed, rest: f"{_segment(changed)}.{rest}".encode(), almost(header), rest
        )
        for header, rest in (_taken_apart(proof) for _, proof in PROOFS)
    ]
    return st.one_of(BYTES, *whole, *headers)


def _segment(value):
    raw = json.dumps(value).encode("utf-8", "replace")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _taken_apart(proof):
    header, _, rest = proof.partition(".")
    return json.loads(base64.urlsafe_b64decode(header + "==")), st.just(rest)


@fuzzed(raw=_almost_request())
def test_an_encrypted_request_is_opened_or_refused_with_400(raw):
    token = raw.decode("ascii", "replace")[:MAX_ENCRYPTED_BYTES]
    command = event_of(ConfirmRequested, transaction_id="proof", encrypted=token)
    found = OPENING.open(received(command, UUID(int=0), OPENED_AT))
    assert found.status == 400  # a proof has no content of a request


REQUEST_HEADER = header_of(PROOFS[0][1], OPENED_AT)
CONTENT = {
    "sub": "usr-456",
    "iat": REQUEST_HEADER.issued_at_s,
    "exp": REQUEST_HEADER.expires_at_s,
    "jti": "0b9f6a1e-0000-4000-8000-000000000001",
    "body": {**BODY, "transaction_id": "proof"},
}


@fuzzed(plain=BYTES | almost(CONTENT).map(as_json) | mutated(as_json(CONTENT)))
def test_what_a_request_holds_is_read_or_refused_with_400(plain):
    def read():
        content = content_of(plain, REQUEST_HEADER, "usr-456")
        return confirm_body_of(content.fields, "abc-123")

    found = outcome(read, RefusedError)
    assert found.answer.status == 400 if isinstance(found, RefusedError) else found.transaction_id


@fuzzed(raw=mutated(text_of([REQUEST_KEYS[0].block]).encode()) | BYTES)
def test_a_file_of_keys_is_read_or_refused(raw):
    text = raw.decode("utf-8", "replace")
    found = outcome(lambda: opening_keys(text, "fuzz"), ValueError)
    assert isinstance(found, list | ValueError)


@fuzzed(text=TEXTS | st.sampled_from(["Bearer ", "bearer a b", "Basic x"]))
def test_an_authorization_header_holds_a_token_or_is_refused(text):
    assert outcome(lambda: bearer_token(text), BadTokenError)


HEADER = {"alg": "EdDSA", "kid": "ed", "typ": "at+jwt"}
ALMOST_TOKENS = st.builds(
    raw_token,
    almost(HEADER).filter(lambda one: isinstance(one, dict)) | BYTES,
    almost(claims()).filter(lambda one: isinstance(one, dict)) | BYTES,
    BYTES,
)


def _signed(changed):
    try:
        return token(**changed)
    except (TypeError, ValueError, OverflowError, AttributeError):
        return "the library signs nothing like this"


SIGNED = st.dictionaries(st.sampled_from([*claims(), "nbf", "jti", "cnf"]), JSON, max_size=2)


def _encodable(text):
    return text.encode("utf-8", "replace").decode()


@fuzzed(
    examples=120,
    text=TEXTS
    | mutated(token().encode()).map(lambda raw: raw.decode("latin-1"))
    | ALMOST_TOKENS.map(str)
    | SIGNED.map(_signed),
)
def test_a_token_names_its_caller_or_is_refused(text):
    verifier = TokenVerifier(MemoryKeys(), TokenRules(ISSUER, AUDIENCE))
    found = outcome(lambda: asyncio.run(verifier.caller(text)), BadTokenError)
    assert found.user_id if isinstance(found, Caller) else len(str(found)) < 80


@fuzzed(found=almost(claims()).filter(lambda one: isinstance(one, dict)))
def test_claims_name_a_caller_or_are_refused(found):
    caller = outcome(lambda: caller_of(found, 0), BadTokenError)
    assert isinstance(caller, BadTokenError) or caller.user_id


@fuzzed(document=almost({"keys": KEYS}) | almost(KEYS[2]).map(lambda key: {"keys": [key]}) | JSON)
def test_a_key_set_is_used_as_far_as_it_is_valid(document):
    class Issuer:
        async def get(self, _path):
            return HttpResponse(200, document)

    verifier = TokenVerifier(Issuer(), TokenRules(ISSUER, AUDIENCE, allow_rs256=True))
    found = outcome(lambda: asyncio.run(verifier.caller(token())), BadTokenError, Unavailable)
    assert not isinstance(found, Caller) or found.user_id == "usr-456"


EXAMPLES = [event_of(event) for event in EVENTS]
GOOD_HEADERS = [
    headers_of(event, Attributes(uuid4(), NOON, (("traceparent", "00-a-b-01"),)), "confirm")
    for event in EXAMPLES
]
HEADER_LISTS = st.lists(
    st.tuples(TEXTS | st.sampled_from([name for name, _ in GOOD_HEADERS[0]]), st.none() | BYTES),
    max_size=8,
)
TIMES = st.builds(
    "{:04}-{}{}".format,
    st.sampled_from([0, 1, 2026, 9999]),
    st.sampled_from(["01-01T00:00:00", "12-31T23:59:59"]),
    st.sampled_from(["", "Z", "+23:59", "-23:59"]),
)
WRONG_TIMES = st.builds(
    lambda headers, time: [*headers, ("ce_time", time.encode())],
    st.sampled_from(GOOD_HEADERS),
    TIMES | TEXTS.map(_encodable),
)


@fuzzed(headers=HEADER_LISTS | WRONG_TIMES)
def test_a_records_headers_are_read_or_make_a_dead_letter(headers):
    found = outcome(lambda: read_attributes(headers), MalformedRecordError)
    if isinstance(found, MalformedRecordError):
        assert found.reason == "header"
    else:
        assert found[1].time.astimezone(UTC).tzinfo is UTC


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.ce_type)
def test_a_records_value_is_read_or_makes_a_dead_letter(event):
    good = event.model_dump_json().encode()
    values = almost(json.loads(good)).map(as_json) | mutated(good) | JSON.map(as_json)

    def check(value):
        found = outcome(lambda: read_event(event.ce_type, event.topic, value), MalformedRecordError)
        if isinstance(found, MalformedRecordError):
            assert found.reason == "schema"
            return
        # What is accepted can be published again, keyed and compared.
        assert read_event(found.ce_type, found.topic, found.model_dump_json().encode()) == found
        assert found.key.encode()
        assert found.subject.encode()

    fuzzed(examples=25, value=values)(check)()


def _batch(headers, value):
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=1_000_000,
    )  # fmt: skip
    builder.append(0, timestamp=0, key=b"k", value=value, headers=headers)
    return bytes(builder.build())


@fuzzed(names=st.lists(st.text(max_size=8), max_size=3), swap=st.integers(128, 255), value=BYTES)
def test_a_fetched_batch_is_read_whatever_bytes_its_header_names_have(names, swap, value):
    raw = bytearray(_batch([("marker" + name, b"v") for name in names], value))
    # The checksum is not verified by the client; the marker's first letter becomes any byte.
    if (at := raw.find(b"marker")) >= 0:
        raw[at] = swap
    records = TolerantRecords(bytes(raw))
    batch = records.next_batch()
    (record,) = list(batch)
    assert record.value == value
    for name, _ in record.headers:
        assert is_readable(name) or readable(name)


class Answering:
    """Stands in for an HTTP client of the runtime: gives one answer to everything."""

    def __init__(self, status, body):
        self._response = HttpResponse(status, body)
        self.is_open = False

    async def get(self, _path):
        return self._response

    async def post(self, _path, _body, _headers=None):
        return self._response


STATUSES = st.sampled_from([200, 201, 204, 400, 401, 404, 409, 413, 422, 429])
UETR = UUID(int=7)
LINE = {
    "uetr": str(UETR),
    "amount": "50.00",
    "currency": "USD",
    "bank_reference": "B-1",
    "booked_at": NOON.isoformat(),
}
PAGE = {"entries": [LINE, {**LINE, "uetr": str(UUID(int=8))}], "next": "2"}
RESULTS = {"results": [{"uetr": str(UETR), "status": "REJECTED", "reason": "account_closed"}]}


def loaded(value):
    """Return a value as it would come off the wire: floats for large numbers, no surrogates."""
    return json.loads(json.dumps(value).encode("utf-8", "replace"))


@fuzzed(status=STATUSES, body=almost(PAGE).map(loaded) | JSON)
def test_a_banks_statement_is_read_or_counts_as_unavailable(status, body):
    bank = HttpPartnerBank(Answering(status, body), "ach")
    page = outcome(lambda: asyncio.run(bank.statement(date(2026, 11, 30), None)), Unavailable)
    if not isinstance(page, Unavailable):
        assert all(isinstance(entry.uetr, UUID) for entry in page.entries)


@fuzzed(status=STATUSES, body=almost(RESULTS) | JSON)
def test_a_banks_answer_says_something_about_each_transfer(status, body):
    uetrs = [UETR, UUID(int=8)]
    found = responses_of(uetrs, HttpResponse(status, body), frozenset(Kind))
    assert set(found) == set(uetrs)
    assert all(isinstance(one, BankResponse) for one in found.values())


SCREENED = {"list_version": "1", "results": [{"id": "a", "hit": True, "match_score": 100}]}
IDENTIFIED = {"results": [{"user_id": "a", "status": "verified"}]}


@fuzzed(status=STATUSES, body=almost(SCREENED) | JSON)
def test_an_answer_about_sanctions_is_used_as_far_as_it_is_valid(status, body):
    assert set(asyncio.run(Ofac(Answering(status, body)).screen(["a", "b"]))) <= {"a", "b"}


@fuzzed(status=STATUSES, body=almost(IDENTIFIED) | JSON)
def test_an_answer_about_identities_is_used_as_far_as_it_is_valid(status, body):
    assert set(asyncio.run(Kyc(Answering(status, body)).statuses(["a", "b"]))) <= {"a", "b"}


@fuzzed(body=almost({"results": [{"user_id": "a", "can_receive_code": True}]}) | JSON)
def test_an_answer_about_contacts_is_used_as_far_as_it_is_valid(body):
    assert all(isinstance(value, bool) for value in parse_contacts(body).values())


@fuzzed(status=STATUSES, body=JSON)
def test_confirms_answer_to_a_read_is_a_payment_nothing_or_unavailable(status, body):
    reads = ConfirmReads(["http://confirm"], lambda: "credential")
    reads._clients = [Answering(status, body)]
    found = outcome(lambda: asyncio.run(reads.payment("usr-456", "t-1")), Unavailable)
    assert found is None or isinstance(found, PaymentView | Unavailable)


DEEP = st.integers(1_000, 100_000).map(lambda depth: b"[" * depth)
PAYMENT = {
    "transaction_id": "t-1",
    "status": "SUCCESS",
    "amount": "50.00",
    "expires_in": 300,
    "error": "Invalid field: amount",
    "details": None,
}


@fuzzed(
    status=STATUSES | st.sampled_from([202, 302, 403, 500, 502, 503]),
    headers=st.dictionaries(
        st.sampled_from(["Retry-After", "X-Request-Id", "content-type"]), TEXTS | NUMBERS
    ),
    content=BYTES | DEEP | JSON.map(as_json) | almost(PAYMENT).map(as_json),
)
def test_the_client_library_reads_any_answer_or_refuses_it_by_its_own_error(
    status, headers, content
):
    answer = Answer.read(status, headers, content)
    assert isinstance(error_of(answer), CountersignError)
    assert answer.retry_after_s is None or answer.retry_after_s >= 0
    assert Confirmed.of(answer).request_id == answer.request_id
    assert CodeRequired.of("t-1", answer).expires_in >= 0
    payment = outcome(lambda: Payment.of(answer), UnexpectedAnswer)
    assert isinstance(payment, Payment | UnexpectedAnswer)


@fuzzed(content=BYTES | DEEP | JSON.map(as_json))
def test_the_command_reads_any_answer_token_and_reply_or_ignores_it(content):
    token_of = b"a." + base64.urlsafe_b64encode(content)
    assert isinstance(_fields(httpx.Response(200, content=content)), dict)
    assert isinstance(Signed(token_of.decode(), 0).claims, dict)
    assert all({"status", "headers"} <= reply.keys() for reply in _object_in(content))


class Provider:
    """Stands in for the providers' transport."""

    def __init__(self, status, body, headers):
        self._response = ProviderResponse(status, "", body, headers)

    def send(self, *_request):
        return self._response


MESSAGE = Message(uuid4(), Personal("+15551234567"), "subject", Personal("text"))
SENT = as_json({"sid": "SM1", "date_created": "Mon, 30 Nov 2026 12:00:00 +0000", "num_media": "0"})
PROVIDER = {
    "status": st.sampled_from([200, 201, 202, 204, 301, 400, 401, 404, 429, 500, 503]),
    "body": BYTES | JSON.map(as_json) | mutated(SENT) | almost(json.loads(SENT)).map(as_json),
    "headers": st.dictionaries(st.sampled_from(["X-Message-Id", "Retry-After", "a"]), TEXTS),
}


@fuzzed(**PROVIDER)
def test_any_answer_of_twilio_becomes_an_attempt(status, body, headers):
    account = TwilioAccount("http://twilio", "AC1", "secret", "+15550000000", "http://back")
    attempt = TwilioSms(account, Provider(status, body, headers))([MESSAGE])
    assert isinstance(attempt, Attempt)


@fuzzed(**PROVIDER)
def test_any_answer_of_sendgrid_becomes_an_attempt(status, body, headers):
    mail = SendgridMail(
        "http://sendgrid", "SG.key", "a@example.com", Provider(status, body, headers)
    )
    assert isinstance(mail([MESSAGE, MESSAGE]), Attempt)


ANSWERS = st.builds(
    lambda status, headers, body: b"\r\n".join(
        [b"HTTP/1.1 %b" % status, *[b"%b: %b" % pair for pair in headers], b"", body]
    ),
    st.sampled_from([b"200 OK", b"204 No", b"302 F", b"418 T", b"500 E", b"20 x", b"999 y"]),
    st.lists(
        st.tuples(
            st.sampled_from(
                [b"content-length", b"transfer-encoding", b"content-encoding", b"location"]
            ),
            st.sampled_from([b"3", b"-1", b"chunked", b"gzip", b"99999999", b"x"]) | BYTES,
        ),
        max_size=3,
    ),
    BYTES | JSON.map(as_json),
)


@fuzzed(examples=40, answer=BYTES | ANSWERS)
def test_the_client_gets_json_from_a_server_or_unavailable(answer):
    async def ask():
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            async with HttpClient("any", f"http://{host}:{port}", timeout_s=0.5) as client:
                return await client.get("/")

    found = outcome(lambda: asyncio.run(ask()), Unavailable)
    assert isinstance(found, HttpResponse | Unavailable)


RING = KeyRing(os.urandom(32))
SEALED = Sealer(RING).seal("789012", UETR).reveal()


def _broken(good):
    return mutated(good.encode()).map(lambda raw: raw.decode("utf-8", "surrogateescape")) | TEXTS


@fuzzed(text=_broken(SEALED))
def test_a_sealed_value_opens_or_is_rejected(text):
    found = outcome(lambda: Sealer(RING).open(Sealed(text), UETR), Rejected)
    assert isinstance(found, Rejected) or found.reveal() == "789012"


MACS = MessageMacs()
MACS.add(RING, EVENTS)
SIGNED_RECORD = MACS.signed(outgoing_of(EXAMPLES[0], uuid4(), NOON))
GOOD_MAC = dict(SIGNED_RECORD.headers)["mac"]


@fuzzed(macs=st.lists(st.none() | mutated(GOOD_MAC) | st.just(GOOD_MAC), max_size=2))
def test_a_mac_is_valid_or_makes_a_dead_letter(macs):
    others = [pair for pair in SIGNED_RECORD.headers if pair[0] != "mac"]
    headers = (*others, *(("mac", mac) for mac in macs))
    verify = partial(MACS.verify, SIGNED_RECORD.topic, headers, SIGNED_RECORD.value)
    found = outcome(verify, MalformedRecordError)
    assert isinstance(found, MalformedRecordError) != (macs == [GOOD_MAC])


@fuzzed(text=_broken(sign(RING, b"message")))
def test_a_signature_is_valid_or_rejected(text):
    found = outcome(lambda: verify_signature(public_keys(RING), text, b"message"), Rejected)
    raw, good = (one.partition(".")[2] for one in (text, sign(RING, b"message")))
    assert isinstance(found, Rejected) or base64.urlsafe_b64decode(raw) == base64.urlsafe_b64decode(
        good
    )


@fuzzed(
    peer=TEXTS | st.ip_addresses().map(str),
    forwarded=TEXTS | st.lists(st.ip_addresses().map(str) | TEXTS, max_size=4).map(",".join),
)
def test_a_forwarded_address_is_an_address_or_the_peers(peer, forwarded):
    trusted = [ip_network("0.0.0.0/0"), ip_network("::/0")]
    found = client_address(peer, forwarded, trusted)
    assert found == peer or client_address(found, "", ()) == found


KEYSETS = [Keyset(["a"], [""]), Keyset(["a"], [UUID(int=0)]), Keyset(["a", "b"], [0, NOON])]
CURSOR = KEYSETS[2].cursor_of({"a": 1, "b": NOON})


@fuzzed(text=TEXTS | mutated(CURSOR.encode()).map(lambda raw: raw.decode("latin-1")))
def test_a_cursor_of_a_page_is_read_or_refused_with_400(text):
    for keyset in KEYSETS:
        found = outcome(partial(keyset, text, 1), HTTPException)
        assert (found.status_code == 400) if isinstance(found, HTTPException) else found.after


def _request(**headers):
    raw = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw})


@fuzzed(value=BYTES | NUMBERS.map(lambda text: f'"{text}"'.encode()))
def test_a_version_in_if_match_is_a_number_of_the_database_or_refused_with_400(value):
    found = outcome(lambda: version_of(_request(if_match=value)), HTTPException)
    assert found.status_code == 400 if isinstance(found, HTTPException) else 0 <= found < 2**63


@fuzzed(
    value=TEXTS | st.builds("bytes={}-{}".format, NUMBERS, NUMBERS | st.just("")),
    size=st.integers(0, 10**6),
)
def test_a_range_lies_in_the_file_or_is_refused_with_416(value, size):
    found = outcome(lambda: _range_of(value, size), HTTPException)
    if isinstance(found, HTTPException):
        assert found.status_code == 416
    else:
        assert 0 <= found[0] <= found[1] <= size


@fuzzed(value=TEXTS | st.binary(max_size=32).map(lambda raw: f"sha-256=:{base64.b64encode(raw)}:"))
def test_an_announced_digest_is_read_or_ignored(value):
    found = _expected(value)
    assert found is None or len(found) == 64


@fuzzed(content=st.binary(max_size=200), part=st.integers(8, 64))
def test_the_lines_of_any_file_are_read_once_each_or_the_import_stops(content, part):
    async def read():
        with tempfile.TemporaryDirectory() as folder:
            store = FolderStore(Path(folder))
            await store.put("a", _one(content))
            lines, position, pages = [], None, FileLines(store, "a", part_bytes=part)
            while (page := await pages.read(position)).entries or page.position != position:
                lines += page.entries
                position = page.position
            return lines

    lines = outcome(lambda: asyncio.run(read()), Invariant)
    if isinstance(lines, Invariant):
        assert len(content) >= part
    else:
        expected = content.removesuffix(b"\n").split(b"\n") if content else []
        assert lines == [line.removesuffix(b"\r") for line in expected]


async def _one(content):
    yield content
