"""Where a delivery may go: judged by the address, not by the name."""

from ipaddress import ip_address

import pytest

from webhooks.domain.addresses import BadUrlError, Target, is_allowed, target_of

FORBIDDEN = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 - refused
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.127.255.254",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_that_is_not_public_is_never_called(address):
    assert not is_allowed(ip_address(address), local=False)


@pytest.mark.parametrize("address", [one for one in FORBIDDEN if not one.startswith("127.")])
def test_development_opens_loopback_and_nothing_else(address):
    assert is_allowed(ip_address(address), local=True) == (address == "::1")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "100.128.0.1"])
def test_a_public_address_is_called(address):
    assert is_allowed(ip_address(address), local=False)


@pytest.mark.parametrize(
    ("url", "details"),
    [
        ("http://example.com/", "https://"),
        ("ftp://example.com/", "https://"),
        ("example.com", "https://"),
        ("https://", "host"),
        ("https://a..b/", "host"),
        (f"https://{'a' * 64}.com/", "host"),
        ("https://" + "user:pw@example.com/", "user"),
        ("https://@example.com/", "user"),
        ("https://example.com/#a", "fragment"),
        ("https://example.com:22/", "port"),
        ("https://example.com:99999/", "URL"),
        ("https://[::1/", "URL"),
        ("https://127.0.0.1/", "public"),
        ("https://[::ffff:10.0.0.1]/", "public"),
        ("https://169.254.169.254/latest", "public"),
        ("https://exämple.com/", "ASCII"),
        ("https://example.com/a b", "ASCII"),
        ("https://example.com/\r\nX: y", "ASCII"),
        ("https://example.com\\@10.0.0.1/", "ASCII"),
        ("https://example.com/" + "a" * 2048, "2048"),
    ],
)
def test_a_url_that_no_delivery_may_go_to_is_refused_with_its_rule(url, details):
    with pytest.raises(BadUrlError, match=details):
        target_of(url, local=False)


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("https://a.com", Target("https", "a.com", 443, "/"), "a.com"),
        ("https://A.com:8443/x?y=z", Target("https", "a.com", 8443, "/x?y=z"), "a.com:8443"),
        ("https://[2606:4700::1]/", Target("https", "2606:4700::1", 443, "/"), "[2606:4700::1]"),
    ],
)
def test_a_url_is_read_in_its_parts(url, target, authority):
    found = target_of(url, local=False)
    assert (found, found.authority) == (target, authority)


def test_development_may_call_this_machine_by_http():
    assert target_of("http://127.0.0.1:9000/", local=True).port == 9000
