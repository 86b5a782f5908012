"""One contract for every place of private keys: files, a PKCS#11 token, a transit service."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from encryption_vectors import Maker, text_of_header
from joserfc.errors import JoseError
from key_places import (
    ended,
    file_place,
    published_key,
    token_place,
    transit_keys,
    transit_place,
    transit_server,
)

from confirm.clients.opening import Opening, Workers
from confirm.clients.token_keys import TokenKeys
from service_runtime.compute import Bounds, Executor
from service_runtime.errors import Unavailable
from service_runtime.jwe import decrypted
from service_runtime.key_provider import NotAbleError, WrongKeyError
from service_runtime.key_sets import key_set
from service_runtime.proving import proof_of
from testbed.key_token import MODULE, TOKEN, make_token

FILES = file_place(2048)
"""Keys of nobody here."""
PLACES = ("files", "token", "transit")


@pytest.fixture(scope="module")
def transit():
    with transit_server() as server:
        yield server


@pytest.fixture(scope="module")
def places(tmp_path_factory, transit):
    make_token(tmp_path_factory.mktemp("softhsm"))
    made = {"files": file_place(2048), "token": token_place(), "transit": transit_place(transit)}
    yield made
    for place in made.values():
        ended(transit, place.provider)


@pytest.fixture(params=PLACES)
def place(request, places):
    return places[request.param]


@pytest.fixture(
    params=[("files", "EC"), ("files", "RSA"), ("token", "EC"), ("transit", "RSA")],
    ids=lambda one: f"{one[0]} {one[1]}",
)
def able(request, places):
    """A provider and a key that it can use."""
    name, kind = request.param
    assert kind in places[name].able
    return places[name].provider, places[name].keys[kind]


def test_a_request_for_its_key_is_opened(able):
    provider, key = able
    assert decrypted(proof_of(key), key, provider) == key.kid.encode()


def test_several_threads_use_it_at_once(able):
    provider, key = able
    proofs = [proof_of(key) for _ in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda proof: decrypted(proof, key, provider), proofs))
    assert found == [key.kid.encode()] * 40


def test_a_request_under_another_key_is_refused_and_the_next_one_opened(able):
    provider, key = able
    other = FILES.keys[key.kind]
    foreign = Maker(other).request(kid=key.kid)
    for _ in range(2):
        with pytest.raises((JoseError, ValueError)):
            decrypted(foreign, key, provider)
    assert decrypted(proof_of(key), key, provider) == key.kid.encode()


@pytest.mark.parametrize("encrypted_key", [b"", b"x", bytes(40), bytes(256), bytes(600)], ids=len)
def test_an_encrypted_key_of_a_wrong_form_is_a_wrong_key_and_never_an_outage(able, encrypted_key):
    provider, key = able
    header = {"epk": _epk()}
    with pytest.raises(WrongKeyError):
        provider.unwrap(key, header, encrypted_key)


@pytest.mark.parametrize("name", ["files", "token"])
def test_an_ephemeral_key_off_the_curve_never_reaches_the_private_key(places, name):
    place = places[name]
    epk = {**_epk(), "y": _epk()["x"]}
    with pytest.raises(WrongKeyError, match="no point"):
        place.provider.unwrap(place.keys["EC"], {"epk": epk}, bytes(40))


async def test_what_a_place_cannot_do_is_said_and_its_keys_are_not_published(place, caplog):
    keys = list(place.keys.values())
    caplog.set_level("INFO")
    async with Executor("encryption", Bounds(1, 4, 5.0)) as executor:
        opening = Opening(keys, place.provider, Workers(executor, 1), None, ())
        published = await opening.published()
    assert published == key_set([key for key in keys if key.kind in place.able])
    said = {
        one.fields["subject"]: one.message
        for one in caplog.records
        if one.name.endswith("encryption")
    }
    assert said == {
        key.kid: "key_proven" if key.kind in place.able else "key_not_able" for key in keys
    }


def test_a_key_that_is_not_there_is_no_outage(place):
    missing = published_key(FILES.keys["RSA"].public)
    with pytest.raises(WrongKeyError):
        decrypted(proof_of(missing), missing, place.provider)


def test_softhsm_does_oaep_with_sha_1_alone(places):
    """If this fails, the token has learnt it: RSA keys can be in a token, too."""
    place = places["token"]
    with pytest.raises(NotAbleError):
        decrypted(proof_of(place.keys["RSA"]), place.keys["RSA"], place.provider)


def test_a_token_that_is_away_or_a_wrong_pin_is_an_outage(places):
    assert places
    with pytest.raises(Unavailable):
        TokenKeys(MODULE, "another token", "1234")
    with pytest.raises(Unavailable):
        TokenKeys("/nowhere.so", TOKEN, "1234")


def test_a_wrong_credential_or_an_error_of_transit_is_an_outage(places, transit):
    key, proof = places["transit"].keys["RSA"], proof_of(places["transit"].keys["RSA"])
    stranger = transit_keys(transit, "another")
    with pytest.raises(Unavailable, match="403"):
        decrypted(proof, key, stranger)
    ended(transit, stranger)
    provider = transit_keys(transit)
    transit.status = 503
    before = transit.asked
    for _ in range(20):
        with pytest.raises(Unavailable):
            decrypted(proof, key, provider)
    transit.status = None
    ended(transit, provider)
    assert transit.asked - before == 5  # then the breaker is open


def _epk():
    return text_of_header(Maker(FILES.keys["EC"]).request())["epk"]
