"""The contract's table of fields, and the order of refusals."""

import json
from decimal import Decimal

import pytest

from payment_schemas.answers import RefusedError
from payment_schemas.confirm_body import parse_confirm_body

GOOD = {
    "transaction_id": "tx-987",
    "idempotency_key": "abc-123",
    "amount": 5200,
    "from_account": "acc-1",
    "to_account": "payee-xyz",
}
IDENTIFIER = "must be 1 to 64 of A-Z a-z 0-9 . _ : -"
UUID4 = "0b9c2a52-6f0c-4c1e-9d3f-0a6a8f7f1c11"


def body(**fields):
    """A valid body with some fields changed; None removes one."""
    merged = {**GOOD, **fields}
    return json.dumps({name: value for name, value in merged.items() if value is not None}).encode()


def parse(raw, *arguments, **keywords):
    return parse_confirm_body(raw, *arguments, **keywords)


def refusal(raw, *arguments, **keywords):
    with pytest.raises(RefusedError) as refused:
        parse(raw, *arguments, **keywords)
    assert refused.value.answer.status == 400
    return json.loads(refused.value.answer.body)


def test_a_valid_body_is_parsed_field_by_field():
    read = parse(body(currency="EUR", otp_code="789012", amount="5200.00"))

    assert (read.transaction_id, read.idempotency_key) == ("tx-987", "abc-123")
    assert (read.amount, read.currency) == (Decimal("5200.00"), "EUR")
    assert (read.from_account, read.to_account) == ("acc-1", "payee-xyz")
    assert read.otp_code == "789012"


def test_a_later_request_may_omit_all_but_its_ids():
    read = parse(b'{"transaction_id":"tx-987","idempotency_key":"abc-123"}')

    assert (read.amount, read.currency, read.from_account, read.to_account, read.otp_code) == (
        None,
    ) * 5


@pytest.mark.parametrize("name", ["transaction_id", "from_account", "to_account"])
@pytest.mark.parametrize("value", ["a", "A" * 64, "aZ09._:-"])
def test_an_identifier_of_the_alphabet_is_accepted(name, value):
    assert getattr(parse(body(**{name: value})), name) == value


@pytest.mark.parametrize("name", ["transaction_id", "from_account", "to_account"])
@pytest.mark.parametrize(
    "value", ["", "a" * 65, "has space", "tab\t", "newline\n", "ümlaut", "a/b", "٣", "\x00"]
)
def test_an_identifier_outside_the_alphabet_is_refused(name, value):
    assert refusal(body(**{name: value})) == {
        "error": f"Invalid field: {name}",
        "details": IDENTIFIER,
    }


@pytest.mark.parametrize("name", ["transaction_id", "from_account", "to_account"])
@pytest.mark.parametrize("value", [".", "..", "::", "-_-", "." * 64])
def test_an_identifier_has_a_letter_or_a_digit(name, value):
    assert refusal(body(**{name: value})) == {
        "error": f"Invalid field: {name}",
        "details": "must contain a letter or digit",
    }


@pytest.mark.parametrize("name", ["transaction_id", "from_account", "to_account", "otp_code"])
@pytest.mark.parametrize("value", [1, 1.5, True, [], {}])
def test_a_text_field_must_be_a_string(name, value):
    assert refusal(body(**{name: value})) == {
        "error": f"Invalid field: {name}",
        "details": "must be a string",
    }


@pytest.mark.parametrize("key", ["a", "~", " " * 255, "x" * 255])
def test_a_printable_key_is_accepted(key):
    assert parse(body(idempotency_key=key)).idempotency_key == key


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\t", "newline\n", "é", 5, True, []])
def test_a_key_must_be_printable_ascii(key):
    assert refusal(body(idempotency_key=key))["error"] == "Invalid field: idempotency_key"


def test_the_key_may_be_in_the_header_only():
    assert parse(body(idempotency_key=None), "from-header").idempotency_key == "from-header"


def test_the_keys_in_header_and_body_must_be_equal():
    assert parse(body(), "abc-123").idempotency_key == "abc-123"
    assert refusal(body(), "other") == {
        "error": "Invalid field: idempotency_key",
        "details": "must agree with the Idempotency-Key header",
    }


@pytest.mark.parametrize(
    ("key", "taken"),
    [
        (UUID4, True),
        (UUID4.upper(), True),
        ("abc-123", False),
        ("0b9c2a52-6f0c-1c1e-9d3f-0a6a8f7f1c11", False),
        (UUID4 + "\n", False),
    ],
)
def test_a_strict_key_must_be_a_uuid4(key, taken):
    raw = body(idempotency_key=key)
    if taken:
        assert parse(raw, strict_keys=True).idempotency_key == key
    else:
        assert refusal(raw, strict_keys=True)["error"] == "Invalid field: idempotency_key"


@pytest.mark.parametrize(
    ("amount", "currency", "taken"),
    [
        ("5200", None, True),
        ("5200.00", None, True),
        ("5200.0", "USD", True),
        ("1.000", "USD", False),
        ("5200.000", None, False),
        ("1.", "USD", False),
        (".5", "USD", False),
        ("1.0", "JPY", False),
        ("1.000", "KWD", True),
        ("000000000001.00", "USD", True),
        ("0000000000001.00", "USD", False),
        ("0.01", "USD", True),
        ("0.001", "USD", False),
        ("0", "USD", False),
        ("0.00", "USD", False),
        ("-1", "USD", False),
        ("999999999999.99", "USD", True),
        ("1000000000000", "USD", False),
        ("1", "JPY", True),
        ("1.5", "JPY", False),
        ("1.234", "KWD", True),
        ("1.2345", "KWD", False),
        ("1." + "0" * 39 + "1", "USD", False),
        ("1e3", "USD", False),
        ("+1", "USD", False),
        (" 1", "USD", False),
        ("1_000", "USD", False),
        ("٣", "USD", False),
        ("NaN", "USD", False),
        ("", "USD", False),
        ("1" * 41, "USD", False),
        (True, "USD", False),
        ([], "USD", False),
    ],
)
def test_an_amount_is_positive_and_has_no_more_decimals_than_its_currency(amount, currency, taken):
    raw = body(amount=amount, currency=currency)
    if taken:
        assert parse(raw).amount == Decimal(amount)
    else:
        assert refusal(raw)["error"] == "Invalid field: amount"


@pytest.mark.parametrize(
    ("written", "amount"),
    [("5200", "5200"), ("5200.10", "5200.10"), ("0.1", "0.1"), ("123456789012.34",) * 2],
)
def test_a_json_number_is_parsed_exactly(written, amount):
    raw = body(amount=None)[:-1] + f',"amount":{written}}}'.encode()

    assert parse(raw).amount == Decimal(amount)


@pytest.mark.parametrize("written", ["1e3", "1E3", "-0", "-5", "1.999", "1e-1", "0e5"])
def test_a_json_number_must_be_a_plain_positive_decimal(written):
    raw = body(amount=None)[:-1] + f',"amount":{written}}}'.encode()

    assert refusal(raw) == {
        "error": "Invalid field: amount",
        "details": "must be positive, with at most 2 decimals",
    }


def test_the_rule_of_an_amount_names_the_decimals_of_its_currency():
    assert refusal(body(amount="1.5", currency="JPY"))["details"] == (
        "must be positive, with at most 0 decimals"
    )


@pytest.mark.parametrize("currency", ["usd", "USDT", "XXX", "", "US", 840, [], {}])
def test_a_currency_is_an_iso_4217_code(currency):
    assert refusal(body(currency=currency))["error"] == "Invalid field: currency"


def test_a_currency_that_cannot_be_scored_is_refused_by_name():
    raw = body(currency="KWD", amount="1.234")

    assert parse(raw, currencies={"USD", "KWD"}).currency == "KWD"
    assert refusal(raw, currencies={"USD"}) == {
        "error": "Invalid field: currency",
        "details": "is not supported",
    }


@pytest.mark.parametrize(
    "name", ["transaction_id", "idempotency_key", "from_account", "to_account"]
)
@pytest.mark.parametrize(
    "number",
    [
        *("4111111111111111", "378282246310005", "4222222222222"),
        *("4111-1111-1111-1111", "3782.822463.10005", "tx-4111-1111.1111-1111"),
    ],
)
def test_a_card_number_is_refused_in_every_id(name, number):
    assert refusal(body(**{name: number})) == {
        "error": f"Invalid field: {name}",
        "details": "must not be a card number",
    }


def test_a_card_number_with_spaces_is_refused_as_key_in_body_and_header():
    told = {"error": "Invalid field: idempotency_key", "details": "must not be a card number"}

    assert refusal(body(idempotency_key="4111 1111 1111 1111")) == told
    assert refusal(body(idempotency_key=None), "4111 1111 1111 1111") == told


@pytest.mark.parametrize("number", ["4111111111111112", "411111111111", "41111111111111111110"])
def test_digits_that_are_no_card_number_are_accepted_as_account(number):
    assert parse(body(from_account=number)).from_account == number


def test_the_accounts_must_differ():
    assert refusal(body(to_account="acc-1"))["error"] == "Invalid field: to_account"


@pytest.mark.parametrize(
    "name",
    [
        "A",
        "Zoë O'Brien-Smith",
        "Müller & Co. (Zürich), 3. Filiale",
        "Нгуен Ван Ан",
        "محمد علي",
        "नरेन्द्र मोदी",
        "王小明",
        "x" * 140,
    ],
)
def test_a_name_has_letters_and_marks_of_every_script(name):
    assert parse(body(to_name=name)).to_name.reveal() == name


def test_a_name_is_composed_and_masked():
    name = parse(body(to_name="Zoe\u0308")).to_name
    assert (name.reveal(), f"{name}") == ("Zo\u00eb", "***")
    assert "Zo" not in repr(parse(body(to_name="Zoe")))


@pytest.mark.parametrize(
    ("name", "details"),
    [
        ("", "must be 1 to 140 characters"),
        ("x" * 141, "must be 1 to 140 characters"),
        ("4711", "must have a letter"),
        (" ", "must have a letter"),
        ("Ada\n", "must consist of"),
        ("Ada\u202e", "must consist of"),
        ("Ada<b>", "must consist of"),
        ("Ada \U0001f600", "must consist of"),
        (7, "must be a string"),
    ],
)
def test_another_name_is_refused(name, details):
    refused = refusal(body(to_name=name))
    assert refused["error"] == "Invalid field: to_name"
    assert refused["details"].startswith(details)


@pytest.mark.parametrize("instrument", ["CASH", "ACCOUNT"])
def test_a_request_says_what_funds_the_payment_and_where(instrument):
    parsed = parse(body(instrument=instrument, branch="branch-1"))
    assert (parsed.instrument, parsed.branch) == (instrument, "branch-1")
    assert (parse(body()).instrument, parse(body()).branch) == (None, None)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"instrument": "cash"}, "instrument"),
        ({"instrument": 1}, "instrument"),
        ({"instrument": ""}, "instrument"),
        ({"branch": ""}, "branch"),
        ({"branch": "a b"}, "branch"),
    ],
)
def test_another_instrument_or_branch_is_refused(fields, error):
    assert refusal(body(**fields))["error"] == f"Invalid field: {error}"


@pytest.mark.parametrize("code", ["12345", "1234567", "12345a", "٣٣٣٣٣٣", "123456\n", ""])
def test_a_code_must_be_six_digits(code):
    assert refusal(body(otp_code=code)) == {
        "error": "Invalid field: otp_code",
        "details": "must be 6 digits",
    }


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"[]",
        b"1",
        b"null",
        b'"text"',
        b'{"amount":NaN}',
        b'{"amount":Infinity}',
        b'{"a":1,"a":2}',
        b'{"transaction_id":"tx-1","transaction_id":"tx-2"}',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 16_000,
        b'{"a":' * 3_000,
        b'{"transaction_id":"\xed\xa0\x80"}',
    ],
)
def test_anything_but_one_json_object_is_malformed(raw):
    assert refusal(raw) == {"error": "Malformed JSON"}


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        pytest.param(b'{"foo":1,', "Malformed JSON", id="malformed before unknown"),
        pytest.param(b'{"foo":1}', "Unknown field: foo", id="unknown before missing"),
        pytest.param(
            b'{"otp_code":1}', "Missing field: transaction_id", id="missing before invalid"
        ),
        pytest.param(b"{}", "Missing field: transaction_id", id="transaction first"),
        pytest.param(
            b'{"transaction_id":null,"idempotency_key":"k"}',
            "Missing field: transaction_id",
            id="null is missing",
        ),
        pytest.param(b'{"transaction_id":""}', "Missing field: idempotency_key", id="then the key"),
        pytest.param(
            b'{"transaction_id":"","idempotency_key":"k","amount":0}',
            "Invalid field: transaction_id",
            id="invalid in the table's order",
        ),
        pytest.param(
            b'{"transaction_id":"t","idempotency_key":"k","otp_code":"x","to_account":"/"}',
            "Invalid field: to_account",
            id="the code last",
        ),
    ],
)
def test_refusals_come_in_the_contracts_order(raw, error):
    assert refusal(raw)["error"] == error
