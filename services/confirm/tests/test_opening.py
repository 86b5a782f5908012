"""Encrypted requests are opened as the vectors say; every refusal is the same."""

import json
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from encryption_vectors import AT, Maker

from confirm.clients.opening import Opening, Seals, Workers
from confirm.domain.encrypted import OpenedRequest
from payment_schemas import answers
from payment_schemas.answers import Answer, RefusedError
from payment_schemas.encrypted import MAX_ENCRYPTED_BYTES, header_of
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import payment_id_of
from payment_schemas.money import DECIMALS
from service_runtime.compute import Bounds, Executor
from service_runtime.encryption_keys import KeyBlock, opening_keys, text_of
from service_runtime.errors import Unavailable
from service_runtime.file_keys import FileKeys
from service_runtime.key_sets import EncryptionKeys, key_set
from service_runtime.keys import KeyRing
from service_runtime.messages import Batch
from service_runtime.sealing import Sealer, keyed_hash, seal_code, seal_name
from testkit.events import event_of, received

VECTORS = json.loads(Path(__file__).with_name("encryption-vectors.json").read_text())
SEALING_KEY, TAG_KEY = KeyRing(b"s" * 32), KeyRing(b"t" * 32)
NAME_KEY = KeyRing(b"n" * 32)
SEAL = Seals(partial(seal_code, Sealer(SEALING_KEY), TAG_KEY), partial(seal_name, Sealer(NAME_KEY)))
KIDS = {
    vector["key"]: header_of(vector["jwe"], AT).kid
    for vector in VECTORS["vectors"]
    if vector["result"] == "accepted"
}
BLOCKS = {kind: KeyBlock(KIDS[kind], pem) for kind, pem in VECTORS["rings"].items()}


@pytest.fixture
def ring_files(tmp_path):
    """The files of the vectors' keys."""
    return _written(tmp_path)


@pytest.fixture(scope="module")
def vector_opening(tmp_path_factory):
    """Opens with the vectors' keys; the reading of an RSA key takes a tenth of a second."""
    files = _written(tmp_path_factory.mktemp("rings"))
    keys = EncryptionKeys(list(map(str, files.values())), VECTORS["passphrase"])
    return Opening(keys, FileKeys(), None, SEAL, set(DECIMALS))


def _written(folder):
    for kind, block in BLOCKS.items():
        file = folder / kind
        file.write_text(text_of([block]))
        file.chmod(0o400)
    return {kind: folder / kind for kind in BLOCKS}


@pytest.fixture
async def executor():
    async with Executor("encryption", Bounds(2, 16, 5.0)) as executor:
        yield executor


@pytest.fixture
def make_opening(ring_files, executor):
    def make(provider=None):
        keys = EncryptionKeys(list(map(str, ring_files.values())), VECTORS["passphrase"])
        provider = provider or FileKeys()
        return Opening(keys, provider, Workers(executor, 2), SEAL, set(DECIMALS))

    return make


def command(jwe, at=AT, **fields):
    """A command as the gateway sends it, received at that time."""
    about = {name: VECTORS[name] for name in ("user_id", "transaction_id", "idempotency_key")}
    plain = {"amount": None, "from_account": None, "to_account": None, "sealed_code": None}
    event = event_of(ConfirmRequested, **{**plain, **about, "encrypted": jwe, **fields})
    return received(event, UUID(int=0), time=at)


def maker(kind):
    (key,) = opening_keys(text_of([BLOCKS[kind]]), VECTORS["passphrase"])
    return Maker(key)


@pytest.mark.parametrize(
    "vector", VECTORS["vectors"], ids=lambda vector: f"{vector['key']}: {vector['comment']}"
)
def test_a_vector_has_its_result(vector_opening, vector):
    if len(vector["jwe"]) > MAX_ENCRYPTED_BYTES:
        with pytest.raises(RefusedError) as refused:
            header_of(vector["jwe"], AT)
        assert refused.value.answer == answers.not_decrypted()
        return
    found = vector_opening.open(command(vector["jwe"]))
    if vector["result"] == "accepted":
        assert isinstance(found, OpenedRequest)
        fields = found.request.model_dump(include=set(VECTORS["body"]))
        assert fields == VECTORS["body"]
        assert found.request.encrypted is None
    elif vector["result"] == "refused":
        assert found == answers.not_decrypted()
    else:
        assert (found.status, json.loads(found.body)) == (400, vector["result"])


def test_the_vectors_have_every_kind_of_refusal_for_both_types():
    for kind in ("EC", "RSA"):
        results = [one["result"] for one in VECTORS["vectors"] if one["key"] == kind]
        assert results.count("refused") > 90
        assert results.count("accepted") == 4


def test_a_code_leaves_confirm_sealed_and_tagged_as_the_gateway_does_it(vector_opening):
    body = {**VECTORS["body"], "otp_code": "789012"}
    found = vector_opening.open(command(maker("EC").request(content={"body": body})))
    payment_id = payment_id_of("usr-456", "tx-987")
    assert Sealer(SEALING_KEY).open(found.request.sealed_code, payment_id).reveal() == "789012"
    tag = keyed_hash(TAG_KEY.current.material, "usr-456", "tx-987", "789012")
    assert found.request.code_tag == tag
    assert "789012" not in found.request.model_dump_json()


def test_what_funds_an_encrypted_payment_is_in_its_command(vector_opening):
    body = {**VECTORS["body"], "instrument": "CASH", "branch": "branch-1"}
    found = vector_opening.open(command(maker("EC").request(content={"body": body})))
    assert (found.request.instrument, found.request.branch) == ("CASH", "branch-1")


def test_a_payees_name_leaves_confirm_sealed_for_screening(vector_opening):
    body = {**VECTORS["body"], "to_name": "Ada Lovelace"}
    found = vector_opening.open(command(maker("EC").request(content={"body": body})))
    payment_id = payment_id_of("usr-456", "tx-987")
    opened = Sealer(NAME_KEY).open(found.request.sealed_to_name, payment_id)
    assert opened.reveal() == "Ada Lovelace"
    assert "Lovelace" not in found.request.model_dump_json()


@pytest.mark.parametrize(
    "fields",
    [{"user_id": "usr-457"}, {"transaction_id": "tx-988"}],
    ids=lambda one: next(iter(one)),
)
def test_a_request_that_the_gateway_read_for_somebody_else_is_refused(vector_opening, fields):
    assert vector_opening.open(command(maker("EC").request(), **fields)) == answers.not_decrypted()


def test_a_command_is_judged_by_the_time_at_which_it_came(vector_opening):
    """A backlog or a redrive delays its handling; its ce_time stays."""
    jwe = maker("EC").request()
    assert isinstance(vector_opening.open(command(jwe)), OpenedRequest)
    late = command(jwe, at=AT + timedelta(seconds=300))
    assert vector_opening.open(late) == answers.not_decrypted()


async def test_plain_requests_are_not_looked_at(make_opening):
    def broken():
        raise AssertionError("a plain request costs nothing")

    opening = make_opening()
    opening.open = broken
    plain = received(event_of(ConfirmRequested), UUID(int=0))
    assert await opening.gather(Batch([plain], AT)) == {}


async def test_an_expired_command_costs_no_decryption(make_opening):
    opening = make_opening()
    expired = command(maker("EC").request(), expires_at=AT)
    assert await opening.gather(Batch([expired], AT)) == {}


async def test_a_whole_batch_is_opened_whatever_its_size(make_opening):
    ec, rsa = maker("EC"), maker("RSA")
    requests = [command((rsa if number % 5 == 0 else ec).request()) for number in range(77)]
    items = [received(one.event, _uuid(number), time=AT) for number, one in enumerate(requests)]
    found = await make_opening().gather(Batch(items, AT))
    assert found.keys() == {item.cause.id for item in items}
    assert all(isinstance(one, OpenedRequest) for one in found.values())


class Away:
    """A place of keys that does not respond, and counts."""

    def __init__(self):
        self.asked = 0

    def unwrap(self, _key, _header, _encrypted_key):
        self.asked += 1
        raise Unavailable("the token is away")

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_error):
        pass


async def test_while_the_keys_are_away_requests_are_refused_as_not_accepted(make_opening):
    away = Away()
    jwe = maker("EC").request()
    items = [received(command(jwe).event, _uuid(number), time=AT) for number in range(12)]
    found = await make_opening(away).gather(Batch(items, AT))
    assert list(found.values()) == [answers.unavailable()] * 12
    assert away.asked == 2  # once a worker


async def test_only_keys_that_have_opened_a_request_are_published(make_opening):
    opening = make_opening()
    listed = (await opening.published())["keys"]
    assert [(key["kty"], key["alg"], key["kid"]) for key in listed] == [
        ("EC", "ECDH-ES+A256KW", KIDS["EC"]),
        ("RSA", "RSA-OAEP-256", KIDS["RSA"]),
    ]
    assert all(key["use"] == "enc" and not key.keys() & {"d", "p", "q"} for key in listed)
    assert await make_opening(Away()).published() == {"keys": []}


def test_a_file_that_others_may_read_is_refused(ring_files):
    ring_files["EC"].chmod(0o440)
    with pytest.raises(ValueError, match="others may read it"):
        EncryptionKeys([str(ring_files["EC"])], VECTORS["passphrase"])


def test_a_file_under_another_passphrase_is_refused(ring_files):
    with pytest.raises(ValueError, match="passphrase"):
        EncryptionKeys([str(ring_files["EC"])], "another")


def test_a_replaced_key_opens_what_came_within_a_day_and_is_not_published(ring_files, executor):
    until = AT + timedelta(hours=24)
    file = ring_files["EC"]
    file.chmod(0o600)
    file.write_text(text_of([KeyBlock(KIDS["EC"], BLOCKS["EC"].pem, until)]))
    keys = EncryptionKeys([str(file)], VECTORS["passphrase"])
    assert key_set(list(keys)) == {"keys": []}
    assert keys.find(KIDS["EC"], until - timedelta(seconds=1))
    assert keys.find(KIDS["EC"], until) is None
    opening = Opening(keys, FileKeys(), Workers(executor, 2), SEAL, set(DECIMALS))
    later = int(until.timestamp())
    jwe = maker("EC").request(iat=later, exp=later + 300)
    assert isinstance(opening.open(command(jwe, at=until)), Answer)


def _uuid(number):
    return UUID(int=number)
