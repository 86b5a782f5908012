"""The console's frame: cookies, addresses after a sign-in, values on pages, the rules of forms."""

from datetime import UTC, datetime, timedelta

import pytest
from fastapi.responses import Response

from ops.console.filters import amount, state, when
from ops.console.frame import POLICY, Cookies, Templates, box
from ops.console.sign_in import _local
from ops.domain.errors import RefusedError, UnavailableError


@pytest.mark.parametrize("is_secure", [True, False])
def test_a_sessions_cookie_is_for_this_host_and_for_no_script(is_secure):
    cookies, response = Cookies(is_secure), Response()
    cookies.put(response, cookies.session, "a secret", 60)
    given = response.headers["set-cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=60"} <= set(given.split("; "))
    assert "Domain" not in given
    assert given.startswith("__Host-") is is_secure
    assert ("; Secure" in given) is is_secure


@pytest.mark.parametrize(
    ("path", "then"),
    [
        ("/payments?user_id=usr-1", "/payments?user_id=usr-1"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/\tx", "/"),
        ("payments", "/"),
        ("", "/"),
        ("/" + "x" * 4000, "/"),
    ],
)
def test_a_sign_in_leads_to_a_page_of_the_console_alone(path, then):
    assert _local(path) == then


def test_the_policy_allows_no_inline_code_and_no_other_origin():
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    text = "".join(path.decode() for name, path in Templates().assets.items() if "svg" not in name)
    assert "http" not in text
    assert "eval(" not in text


def test_text_of_a_payment_is_shown_as_text():
    fault = {"what": "<script>alert(1)</script>", "then": ""}
    shown = Templates().render("parts/away.html", fault=fault)
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "<b>" not in state("<b>")
    assert "<b>" not in amount({"amount": "<b>", "currency": "<b>"})


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"amount_minor": 520000, "currency": "USD"}, "5,200.00"),
        ({"amount_minor": -520000, "currency": "USD"}, "-5,200.00"),
        ({"amount": "1234567.5", "currency": "XXY"}, "1,234,567.5"),
        ({"amount_minor": 5200, "currency": "JPY"}, "5,200"),
        ({"amount_minor": 7, "currency": "KWD"}, "0.007"),
    ],
)
def test_an_amount_has_groups_and_its_currency(row, shown):
    assert f">{shown} <" in amount(row)
    assert row["currency"] in amount(row)


def test_a_time_is_exact_for_readers_without_scripts():
    noon = datetime(2026, 11, 30, 12, tzinfo=UTC)
    shown = when((noon - timedelta(hours=1)).isoformat())
    assert 'datetime="2026-11-30T11:00:00.000+00:00"' in shown
    assert "2026-11-30 11:00:00 UTC" in shown
    assert when(None) == when("no time") == "\N{EN DASH}"


def test_a_box_whose_service_is_away_holds_the_reason():
    def away():
        raise UnavailableError("settlement cannot be reached", "make up")

    assert box(lambda: 5) == {"value": 5, "away": None}
    assert box(away)["away"].what == "settlement cannot be reached"
    with pytest.raises(ZeroDivisionError):
        box(lambda: 1 // 0)


def test_an_error_says_what_and_what_to_run_next():
    error = RefusedError("no payment has the id x", "countersign show x")
    assert (error.what, error.then) == ("no payment has the id x", "countersign show x")
