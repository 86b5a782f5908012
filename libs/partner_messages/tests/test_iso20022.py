"""Messages as ISO 20022: read as written, and whatever a bank writes is refused by its field."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiso20022.pacs.pacs_004_001_10 import pacs_004_001_10 as pacs004

from partner_messages.errors import Malformed
from partner_messages.formats import MAX_BYTES, format_of
from partner_messages.iso20022 import RETURN
from partner_messages.iso20022.documents import MAX_DEPTH, written, xml_time
from partner_messages.messages import MAX_ENTRIES, Party, Status
from testkit.partners import (
    NOON,
    UETR,
    entry,
    instruction,
    instructions,
    page,
    pages,
    report,
    reports,
)

FORMAT = format_of("iso20022")
REPORT = FORMAT.encode_report(report(), NOON)
REJECTION = FORMAT.encode_report(
    report(status=Status.REJECTED, reason="AC04", booked_at=None), NOON
)
PAGE = FORMAT.encode_statement(page(entry()), NOON)
TRANSFER = FORMAT.encode_instruction(instruction())


def field_of(decode, value):
    with pytest.raises(Malformed) as refused:
        decode(value)
    return refused.value.field


def changed(value, *pairs):
    """Return a document in which each text is replaced by another."""
    for old, new in pairs:
        assert old.encode() in value
        value = value.replace(old.encode(), new.encode())
    return value


@settings(deadline=None)
@given(instructions())
def test_an_instruction_is_read_as_it_was_written(one):
    assert FORMAT.decode_instruction(FORMAT.encode_instruction(one)) == one


@settings(deadline=None)
@given(reports())
def test_a_report_is_read_as_it_was_written(one):
    assert FORMAT.decode_report(FORMAT.encode_report(one, NOON)) == one


@settings(deadline=None)
@given(pages())
def test_a_statement_is_read_as_it_was_written(one):
    assert FORMAT.decode_statement(FORMAT.encode_statement(one, NOON)) == one


def test_an_instruction_has_the_elements_of_the_contract():
    text = TRANSFER.decode()
    assert "<UETR>8a562c67-ca16-48ba-b074-65581be6f011</UETR>" in text
    assert '<IntrBkSttlmAmt Ccy="USD">5200.00</IntrBkSttlmAmt>' in text
    assert "<EndToEndId>tx-1</EndToEndId>" in text
    assert "<NbOfTxs>1</NbOfTxs>" in text


def test_a_repeated_instruction_has_the_same_bytes():
    assert FORMAT.encode_instruction(instruction()) == TRANSFER


def test_identifiers_that_are_too_long_for_their_element_are_beside_it():
    long = instruction(end_to_end_id="t" * 64, debtor=Party(account="a" * 64, agent="countersign"))
    text = FORMAT.encode_instruction(long).decode()
    assert f"<Ustrd>/ROC/{'t' * 64}</Ustrd>" in text
    assert text.count("NOTPROVIDED") == 2
    assert FORMAT.decode_instruction(text.encode()) == long


@pytest.mark.parametrize("left", [timedelta(), timedelta(days=1, seconds=1)])
def test_an_expiry_that_a_time_of_day_cannot_tell_is_refused(left):
    with pytest.raises(Malformed, match="expires_at"):
        FORMAT.encode_instruction(instruction(expires_at=NOON + left))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ACSC", Status.ACCEPTED),
        ("ACCC", Status.ACCEPTED),
        ("PDNG", Status.PENDING),
        ("ACSP", Status.PENDING),
    ],
)
def test_a_status_code_has_one_meaning(code, status):
    read = FORMAT.decode_report(changed(REPORT, ("<TxSts>ACSC", f"<TxSts>{code}")))
    assert read.status is status


def test_a_rejection_has_its_reason():
    read = FORMAT.decode_report(REJECTION)
    assert (read.status, read.reason) == (Status.REJECTED, "AC04")


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        pytest.param([("ACSC", "RCVD")], "TxInfAndSts.TxSts", id="a status of no meaning here"),
        pytest.param([("ACSC", "RJCT")], "reason", id="a rejection without a reason"),
        pytest.param(
            [("<AcctSvcrRef>B-1", "<AcctSvcrRef>Jane Doe")], "bank_reference", id="a name"
        ),
        pytest.param(
            [("<OrgnlUETR>8a562c67-ca16-48ba-b074-65581be6f011</OrgnlUETR>", "")],
            "TxInfAndSts.OrgnlUETR",
            id="no uetr",
        ),
        pytest.param(
            [("<OrgnlUETR>8a562c67-ca16-48", "<OrgnlUETR>8a562c67-ca16-18")],
            "FIToFIPmtStsRpt.TxInfAndSts.OrgnlUETR",
            id="a UUID of time",
        ),
        pytest.param(
            [("<DtTm>2026-03-09T12:00:00Z", "<DtTm>2026-03-09T12:00:00")],
            "TxInfAndSts.FctvIntrBkSttlmDt.DtTm",
            id="a time without a zone",
        ),
        pytest.param(
            [("<DtTm>2026-03-09T12:00:00Z", "<DtTm>99999-03-09T12:00:00Z")],
            "TxInfAndSts.FctvIntrBkSttlmDt.DtTm",
            id="a far year",
        ),
        pytest.param(
            [("<MsgId>", "<MsgId>" + "x" * 35)], "FIToFIPmtStsRpt.GrpHdr.MsgId", id="long"
        ),
        pytest.param(
            [("<TxSts>", "<Remark>x</Remark><TxSts>")],
            "FIToFIPmtStsRpt.TxInfAndSts.Remark",
            id="an element of no schema",
        ),
    ],
)
def test_a_report_that_breaks_a_rule_names_the_field(pairs, field):
    found = field_of(FORMAT.decode_report, changed(REPORT, *pairs))
    assert found == field


def test_a_report_about_two_transfers_is_refused():
    start, end = REPORT.index(b"<TxInfAndSts>"), REPORT.index(b"</FIToFIPmtStsRpt>")
    twice = REPORT[:end] + REPORT[start:end] + REPORT[end:]
    assert field_of(FORMAT.decode_report, twice) == "TxInfAndSts"


def returned(**fields):
    """Return a pacs.004 of the whole transfer, with changed fields."""
    transaction = pacs004.PaymentTransaction118(
        rtr_id="R-1",
        orgnl_uetr=str(UETR),
        orgnl_intr_bk_sttlm_amt=pacs004.ActiveOrHistoricCurrencyAndAmount(value=5200, ccy="USD"),
        rtrd_intr_bk_sttlm_amt=pacs004.ActiveCurrencyAndAmount(value=5200, ccy="USD"),
        rtr_rsn_inf=[pacs004.PaymentReturnReason6(rsn=pacs004.ReturnReason5Choice(cd="AC04"))],
    )
    header = pacs004.GroupHeader90(
        msg_id="R-1",
        cre_dt_tm=xml_time(NOON),
        nb_of_txs="1",
        sttlm_inf=pacs004.SettlementInstruction7(sttlm_mtd=pacs004.SettlementMethod1Code.INDA),
    )
    body = pacs004.PaymentReturnV10(grp_hdr=header, tx_inf=[replace(transaction, **fields)])
    return written(RETURN, pacs004.Document(pmt_rtr=body))


def test_a_returned_payment_is_rejected_with_the_returns_reason():
    assert FORMAT.decode_report(returned()) == report(
        status=Status.REJECTED, reason="AC04", bank_reference="R-1", booked_at=None
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param(
            {"rtrd_intr_bk_sttlm_amt": pacs004.ActiveCurrencyAndAmount(value=5199, ccy="USD")},
            "TxInf.RtrdIntrBkSttlmAmt",
            id="a part of the amount",
        ),
        pytest.param({"orgnl_intr_bk_sttlm_amt": None}, "TxInf.RtrdIntrBkSttlmAmt", id="of what"),
        pytest.param({"orgnl_uetr": None}, "TxInf.OrgnlUETR", id="no uetr"),
        pytest.param({"rtr_rsn_inf": []}, "reason", id="no reason"),
    ],
)
def test_a_return_that_leaves_a_doubt_names_the_field(fields, field):
    assert field_of(FORMAT.decode_report, returned(**fields)) == field


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        pytest.param([('Ccy="USD"', 'Ccy="XXX"')], "currency", id="no currency"),
        pytest.param([("5200.00", "5200.001")], "amount", id="too many decimals"),
        pytest.param([("5200.00", "0")], "amount", id="nothing"),
        pytest.param(
            [("<Sts><Cd>BOOK", "<Sts><Cd>TOOLONG")],
            "BkToCstmrDbtCdtNtfctn.Ntfctn.Ntry.Sts.Cd",
            id="a status of no code",
        ),
        pytest.param([("<AcctSvcrRef>B-1</AcctSvcrRef>", "")], "bank_reference", id="no reference"),
        pytest.param([("<Id>S-2026-03-09</Id>", "<Id>S 2026</Id>")], "statement_id", id="its id"),
        pytest.param([("<PgNb>1", "<PgNb>0")], "page", id="no page"),
    ],
)
def test_a_statement_that_breaks_a_rule_names_the_field(pairs, field):
    found = field_of(FORMAT.decode_statement, changed(compact(PAGE), *pairs))
    assert found == field


def compact(value):
    return value.replace(b"\n", b"")


def test_an_entry_that_is_not_booked_is_no_movement():
    pending = changed(compact(PAGE), ("<Sts><Cd>BOOK", "<Sts><Cd>PDNG"))
    assert FORMAT.decode_statement(pending).entries == ()


def test_transfers_that_the_bank_booked_together_are_movements_of_their_own():
    details = "<TxDtls><Refs><UETR>8a562c67-ca16-48ba-b074-65581be6f011</UETR></Refs>"
    one, other = (details + f'<Amt Ccy="USD">{amount}</Amt></TxDtls>' for amount in (1200, 4000))
    together = changed(compact(PAGE), (details + "</TxDtls>", one + other))
    assert [str(one.money) for one in FORMAT.decode_statement(together).entries] == [
        "1200.00 USD",
        "4000.00 USD",
    ]


def test_transfers_that_were_booked_together_need_an_amount_each():
    details = "<TxDtls><Refs><UETR>8a562c67-ca16-48ba-b074-65581be6f011</UETR></Refs></TxDtls>"
    together = changed(compact(PAGE), (details, details * 2))
    assert field_of(FORMAT.decode_statement, together) == "Ntry.NtryDtls.TxDtls.Amt"


def test_the_longest_page_fits_into_a_record():
    long = entry(
        bank_reference="B" * 35, amount="999999999999.9999", currency="CLF", is_reversal=True
    )
    value = FORMAT.encode_statement(page(*[long] * MAX_ENTRIES), NOON)
    assert len(value) < MAX_BYTES
    assert len(FORMAT.decode_statement(value).entries) == MAX_ENTRIES


ENTITY = b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
LAUGHS = b'<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<a", id="no XML"),
        pytest.param(ENTITY + REPORT.partition(b"?>")[2], id="an entity of a file"),
        pytest.param(LAUGHS + b"<a>&b;</a>", id="entities of entities"),
        pytest.param(ENTITY.decode().encode("utf-16") + b"", id="the same in UTF-16"),
        pytest.param(("<?xml version='1.0' encoding='UTF-16'?><a/>").encode("utf-16"), id="UTF-16"),
        pytest.param(b"<a>&b;</a>", id="an unknown entity"),
        pytest.param(b"<a>\x00</a>", id="a zero"),
        pytest.param(b"<a>" * 300 + b"</a>" * 300, id="deeper than the parser allows"),
        pytest.param(b" " * (MAX_BYTES + 1), id="too long"),
        pytest.param(
            b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1), id="deeper than any message"
        ),
    ],
)
def test_what_is_no_plain_xml_is_malformed(value):
    for decode in (FORMAT.decode_report, FORMAT.decode_statement, FORMAT.decode_instruction):
        assert field_of(decode, value) == "value"


XSI = "http://www.w3.org/2001/XMLSchema-instance"


def test_a_schema_that_the_message_names_is_not_loaded():
    """The address would be asked; whether it responds would change the outcome."""
    named = changed(
        REPORT,
        (
            "<Document ",
            f'<Document xmlns:xsi="{XSI}" xsi:schemaLocation="urn:x http://127.0.0.1:9/x.xsd" ',
        ),
    )
    assert FORMAT.decode_report(named) == report()


def test_another_kind_of_message_is_no_report():
    assert field_of(FORMAT.decode_report, PAGE) == "value"


HEADER = b"""<AppHdr xmlns="urn:iso:std:iso:20022:tech:xsd:head.001.001.02">
<Fr><FIId><FinInstnId/></FIId></Fr><To><FIId><FinInstnId/></FIId></To><BizMsgIdr>1</BizMsgIdr><MsgDefIdr>pacs.002.001.10</MsgDefIdr>
<CreDt>2026-03-09T12:00:00Z</CreDt></AppHdr>"""
WRAPPED = b"<Envelope>" + HEADER + REPORT.partition(b"?>")[2] + b"</Envelope>"


def test_a_document_may_be_beside_its_business_application_header():
    assert FORMAT.decode_report(WRAPPED) == report()


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (WRAPPED.replace(HEADER, b""), "AppHdr"),
        (WRAPPED.replace(HEADER, HEADER * 2), "AppHdr"),
        (
            WRAPPED.replace(b"<MsgDefIdr>pacs.002.001.10", b"<MsgDefIdr>pacs.008.001.08"),
            "AppHdr.MsgDefIdr",
        ),
        (WRAPPED.replace(b"<BizMsgIdr>1", b"<BizMsgIdr>"), "BizMsgIdr"),
        (WRAPPED.replace(b"</Envelope>", REPORT.partition(b"?>")[2] + b"</Envelope>"), "Document"),
        (b"<Envelope/>", "Document"),
    ],
)
def test_a_header_that_does_not_fit_its_document_is_refused(value, field):
    assert field_of(FORMAT.decode_report, value) == field


@settings(deadline=None)
@given(st.sampled_from([REPORT, PAGE, TRANSFER, WRAPPED, returned()]), st.data())
def test_no_change_of_a_message_makes_a_parser_fail_in_another_way(value, data):
    start = data.draw(st.integers(0, len(value)))
    end = data.draw(st.integers(start, min(len(value), start + 40)))
    text = data.draw(
        st.binary(max_size=8) | st.sampled_from([b"99999-01-01T24:00:00", b"-1", b"\xff"])
    )
    broken = value[:start] + text + value[end:]
    for decode in (FORMAT.decode_report, FORMAT.decode_statement, FORMAT.decode_instruction):
        try:
            decode(broken)
        except Malformed as refused:
            assert refused.field  # noqa: PT017 - both outcomes are right
