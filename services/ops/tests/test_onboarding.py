"""Adding a partner bank: each step can be repeated, and a crash at any point is completed."""

import json
import re

import pytest
from typer.testing import CliRunner

from ops.clients.onboarding import Onboarding
from ops.clients.partner_files import Connection, PartnerFiles, keys_in, password_in
from ops.command.main import app
from ops.domain.errors import OpsError, RefusedError
from ops.domain.partners import Profile, check
from partner_messages.keys import Keys, SigningKey

BANK_KEY = SigningKey.of_seed("bank-1", bytes(range(32)))
KEYS = Keys.of([BANK_KEY.public()]).jwks()


class CrashError(Exception):
    """The command dies here."""


class Places:
    """Settlement, ops and the broker in memory; `crash_at` ends the command at that step."""

    def __init__(self):
        self.profiles, self.topics, self.passwords, self.audited = [], {}, {}, []
        self.steps, self.crash_at = 0, None

    def step(self):
        self.steps += 1
        if self.steps == self.crash_at:
            raise CrashError

    def rows(self, _listing):
        return self.profiles

    def post(self, service, path, body):
        self.step()
        if service == "ops":
            self.audited.append(path)
        else:
            self.profiles.append(json.loads(json.dumps(body)))
        self.step()
        return body

    def has_password(self, partner):
        return partner in self.passwords

    def apply(self, partner, partitions):
        self.step()
        self.topics[partner] = partitions
        self.step()

    def set_password(self, partner, password):
        self.step()
        self.passwords[partner] = password
        self.step()


@pytest.fixture
def places():
    return Places()


@pytest.fixture
def onboarding(places, tmp_path):
    connection = Connection("kafka:9092", "", "http://gateway:3000")
    return Onboarding(places, places, PartnerFiles(tmp_path / "bank"), connection)


def profile(**changes):
    given = {
        "partner": "south-bank",
        "format": "json",
        "partitions": 2,
        "account_prefixes": ("south-",),
        "answer_within_s": 60,
        "enquire_after_s": 300,
        "keys": KEYS,
    }
    return Profile(**(given | changes))


def password_of(onboarding):
    text = onboarding.files.properties.read_text()
    return re.search(r'username="partner-south-bank" password="([^"]+)"', text)[1]


def test_a_partner_is_added_with_topics_password_profile_and_properties(onboarding, places):
    assert onboarding.add(profile())
    assert places.topics == {"south-bank": 2}
    assert places.passwords == {"south-bank": password_of(onboarding)}
    assert places.profiles == [profile().body]
    lines = onboarding.files.properties.read_text().splitlines()
    assert {
        "bootstrap.servers=kafka:9092",
        "security.protocol=SASL_PLAINTEXT",
        "group.id=partner-south-bank.main",
        "countersign.instructions.topic=settlement.instructions.south-bank.v1",
        "countersign.jwks.url=http://gateway:3000/.well-known/partner-jwks.json",
    } <= {*lines}
    assert onboarding.files.properties.stat().st_mode & 0o777 == 0o600
    assert onboarding.files.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("crash_at", range(1, 7))
def test_a_repeat_after_a_crash_at_any_step_completes_with_one_password(
    onboarding, places, crash_at
):
    places.crash_at = crash_at
    with pytest.raises(CrashError):
        onboarding.add(profile())
    given = dict(places.passwords)
    assert onboarding.add(profile())
    assert places.profiles == [profile().body]
    assert places.passwords == {"south-bank": password_of(onboarding)}
    assert given in ({}, places.passwords)


def test_a_repeat_changes_no_password_that_the_bank_has(onboarding, places):
    onboarding.add(profile())
    given = places.passwords["south-bank"]
    onboarding.files.properties.unlink()
    assert not onboarding.add(profile())
    assert places.passwords == {"south-bank": given}
    assert len(places.profiles) == 1


def test_an_old_folder_does_not_bring_an_old_password_back(onboarding, places):
    onboarding.add(profile())
    places.passwords["south-bank"] = "of a later rotation"
    onboarding.add(profile())
    assert places.passwords["south-bank"] == "of a later rotation"


def test_a_given_password_is_used(onboarding, places):
    onboarding.add(profile(), "0123456789abcdef")
    assert places.passwords["south-bank"] == "0123456789abcdef" == password_of(onboarding)


def test_a_rotated_password_is_audited_first(onboarding, places):
    onboarding.add(profile())
    before, places.crash_at = dict(places.passwords), places.steps + 1
    with pytest.raises(CrashError):
        onboarding.rotate("south-bank")
    assert (places.audited, places.passwords) == ([], before)
    onboarding.rotate("south-bank")
    assert places.audited == ["/admin/partners/south-bank/rotations"]
    assert places.passwords == {"south-bank": password_of(onboarding)} != before


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format": "iso20022"}, "format: south-bank exists with json"),
        ({"partitions": 4}, "partitions: south-bank exists with 2"),
        ({"keys": {"keys": []}}, "keys: south-bank exists with bank-1"),
        ({"partner": "west-bank"}, "--prefix: south- is that of south-bank"),
    ],
)
def test_another_profile_of_a_name_or_prefix_changes_nothing(
    onboarding, places, changes, complaint
):
    onboarding.add(profile())
    topics = dict(places.topics)
    with pytest.raises(RefusedError, match=complaint):
        onboarding.add(profile(**changes))
    assert places.topics == topics


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"partner": "South Bank"}, "PARTNER"),
        ({"partner": "x"}, "PARTNER"),
        ({"partner": "a" * 33}, "PARTNER"),
        ({"enquire_after_s": 59}, "--enquire-after"),
        ({"account_prefixes": ("a b",)}, "--prefix"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_option(changes, option):
    with pytest.raises(RefusedError, match=option):
        check(profile(**changes))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "must be an object"),
        (json.dumps({"keys": []}), "keys: "),
        (json.dumps({"keys": [KEYS["keys"][0] | {"x": "AA"}]}), "keys.0.x: "),
        (json.dumps({"keys": [KEYS["keys"][0] | {"crv": "P-256"}]}), "keys.0.crv: "),
        (json.dumps({"keys": [KEYS["keys"][0] | {"d": "AA"}]}), "keys.0.d: a private key"),
        (json.dumps({"keys": KEYS["keys"] * 2}), "keys.1.kid: "),
    ],
)
def test_wrong_keys_are_refused_with_their_field(tmp_path, text, complaint):
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(RefusedError, match=f"--keys: {path}: .*{complaint}"):
        keys_in(path)


@pytest.mark.parametrize("text", ["short", 'with a quote" in it', "a" * 129, "line\nline" * 4])
def test_a_password_that_needs_quotes_is_refused(tmp_path, text):
    path = tmp_path / "password"
    path.write_text(text)
    with pytest.raises(RefusedError, match="--password-file"):
        password_in(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OpsError, match=r"none.json cannot be read: No such file"):
        keys_in(tmp_path / "none.json")


def test_with_tls_the_folder_has_the_authority(places, tmp_path):
    authority = tmp_path / "authority"
    authority.write_text("certificate")
    connection = Connection("kafka:9093", str(authority), "https://gateway")
    onboarding = Onboarding(places, places, PartnerFiles(tmp_path / "bank"), connection)
    onboarding.add(profile())
    text = onboarding.files.properties.read_text()
    assert "security.protocol=SASL_SSL\n" in text
    assert "ssl.truststore.location=ca.pem\n" in text
    assert (tmp_path / "bank" / "ca.pem").read_text() == "certificate"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["add", "south-bank"], "--keys"),
        (["add", "south-bank", "--keys", "k.json"], "--prefix"),
        (["add", "south-bank", "--keys", "k", "--prefix", "s-", "--format", "xml"], "--format"),
        (
            ["add", "south-bank", "--keys", "k", "--prefix", "s-", "--partitions", "0"],
            "--partitions",
        ),
        (["replay", "south-bank"], "exactly one of --since and --uetr"),
        (["replay", "south-bank", "--since", "x", "--uetr", "y"], "exactly one of --since and"),
    ],
)
def test_wrong_usage_names_the_option(arguments, complaint):
    result = CliRunner().invoke(app, ["partners", *arguments])
    assert result.exit_code == 2
    assert complaint in result.stderr


@pytest.mark.parametrize("text", ["yesterday", "2026-11-20", "2026-13-20T08:00:00Z"])
def test_a_time_without_a_zone_or_date_is_refused(text):
    result = CliRunner().invoke(app, ["partners", "replay", "south-bank", "--since", text])
    assert "--since" in str(result.exception)
