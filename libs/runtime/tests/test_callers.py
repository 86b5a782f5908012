"""Bearer tokens and claims that break a rule; client addresses behind proxies."""

from ipaddress import ip_network

import pytest

from service_runtime.callers import bearer_token, caller_of
from service_runtime.edge import BadTokenError
from service_runtime.edge.addresses import client_address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param("192.0.2.7", "", "192.0.2.7", id="no proxy"),
        pytest.param("192.0.2.7", "198.51.100.1", "192.0.2.7", id="forged by a client"),
        pytest.param("10.0.0.1", "198.51.100.1", "198.51.100.1", id="one proxy"),
        pytest.param("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1", id="a forged start"),
        pytest.param("10.0.0.1", "198.51.100.1,10.0.0.2", "198.51.100.1", id="two proxies"),
        pytest.param("10.0.0.1", "1.1.1.1,2.2.2.2,10.0.0.2", "2.2.2.2", id="forged, two proxies"),
        pytest.param("10.0.0.1", "nonsense", "10.0.0.1", id="no address"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="the proxy itself"),
        pytest.param("fd00::1", "2001:db8::7", "2001:db8::7", id="IPv6"),
        pytest.param("10.0.0.1", "198.51.100.1:5000", "198.51.100.1", id="with a port"),
        pytest.param("10.0.0.1", "[2001:DB8::7]:443", "2001:db8::7", id="IPv6 with a port"),
        pytest.param("10.0.0.1", "[2001:db8::7]", "2001:db8::7", id="IPv6 in brackets"),
        pytest.param("10.0.0.1", '"[2001:db8::7]"', "2001:db8::7", id="in quotes"),
        pytest.param("10.0.0.1", "2001:db8:0:0::7", "2001:db8::7", id="IPv6 in another form"),
        pytest.param("10.0.0.1", "fe80::7%eth0", "fe80::7", id="with a zone"),
        pytest.param("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1", id="IPv4 within IPv6"),
        pytest.param("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1", id="a mapped proxy"),
        pytest.param("::ffff:192.0.2.7", "198.51.100.1", "192.0.2.7", id="a mapped client"),
        pytest.param("10.0.0.1", "198.51.100.1,10.0.0.2:80", "198.51.100.1", id="a proxy's port"),
        pytest.param("10.0.0.1", "198.51.100.1:port", "10.0.0.1", id="no port"),
        pytest.param("10.0.0.1", "[198.51.100.1", "10.0.0.1", id="half a bracket"),
        pytest.param("10.0.0.1", "[]:1", "10.0.0.1", id="nothing in brackets"),
        pytest.param("unknown", "198.51.100.1", "unknown", id="no peer"),
    ],
)
def test_the_client_address_is_the_last_one_that_no_trusted_proxy_added(peer, forwarded, address):
    assert client_address(peer, forwarded, PROXIES) == address


def test_without_trusted_proxies_the_peer_is_the_client():
    assert client_address("10.0.0.1", "198.51.100.1", []) == "10.0.0.1"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "abc"])
def test_a_header_without_a_bearer_token_is_refused(header):
    with pytest.raises(BadTokenError, match="A bearer token is required"):
        bearer_token(header)


def test_the_bearer_scheme_is_case_insensitive():
    assert bearer_token("bEaReR abc") == "abc"


@pytest.mark.parametrize("expires_at", [None, "soon"])
def test_an_expiry_that_is_not_a_number_is_refused(expires_at):
    with pytest.raises(BadTokenError, match="exp: must be a number"):
        caller_of({"sub": "usr-456", "exp": expires_at}, 0)
