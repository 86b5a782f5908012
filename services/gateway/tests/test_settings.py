"""The gateway's settings."""

from ipaddress import ip_network

import pytest

from gateway.settings import Settings
from service_runtime.settings import load

SECOND = {
    "SECOND_TOKEN_ISSUER": "https://second.test",
    "SECOND_JWKS_URL": "https://second.test/keys",
    "SECOND_SUBJECT_PREFIX": "cs_",
}


def test_lists_are_separated_by_commas(environment):
    environment(TRUSTED_PROXIES="10.0.0.0/8, 192.0.2.1,fd00::/8,")

    settings = load(Settings)

    assert settings.confirm_urls == ["http://one:3010", "http://two:4010"]
    expected = ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"]
    assert settings.trusted_proxies == [ip_network(one) for one in expected]


def test_no_proxy_is_trusted_by_default(environment):
    assert load(Settings).trusted_proxies == []


def test_production_requires_a_token(environment):
    environment(PROFILE="prod")

    assert Settings().anonymous_user is None


@pytest.mark.parametrize(("given", "user"), [({}, "usr-456"), ({"DEV_USER": "usr-9"}, "usr-9")])
def test_a_request_without_a_token_acts_as_the_development_user(environment, given, user):
    environment(PROFILE="dev", **given)

    assert load(Settings).anonymous_user == user


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"PROFILE": "prod", "DEV_USER": "usr-9"}, "DEV_USER"),
        ({"TRUSTED_PROXIES": "10.0.0.1/8"}, "TRUSTED_PROXIES"),
        ({"TRUSTED_PROXIES": "everybody"}, "TRUSTED_PROXIES"),
        ({"CONFIRM_URLS": " , "}, "CONFIRM_URLS"),
        ({"RATE_LIMIT_PER_MINUTE": "0"}, "RATE_LIMIT_PER_MINUTE"),
        ({"ANSWER_WITHIN_S": "0"}, "ANSWER_WITHIN_S"),
        ({"OTP_SEALING_KEY_FILE": "/nowhere"}, "OTP_SEALING_KEY_FILE"),
        ({"SCREENING_SEALING_KEY_FILE": "/nowhere"}, "SCREENING_SEALING_KEY_FILE"),
        ({"PORT": "0"}, "PORT"),
        ({"SECOND_TOKEN_ISSUER": "https://second.test"}, "SECOND_JWKS_URL"),
        ({**SECOND, "SECOND_SUBJECT_PREFIX": ""}, "SECOND_SUBJECT_PREFIX"),
        ({**SECOND, "SECOND_TOKEN_ISSUER": "https://issuer.test"}, "SECOND_TOKEN_ISSUER"),
        ({**SECOND, "SECOND_JWKS_URL": "http://issuer/keys"}, "SECOND_JWKS_URL"),
    ],
)
def test_an_invalid_setting_is_named_and_the_process_does_not_start(
    environment, capsys, given, named
):
    environment(**given)

    with pytest.raises(SystemExit):
        load(Settings)

    assert named in capsys.readouterr().err
