"""The format `iso20022`: pacs.008.001.08 in, pacs.002.001.10 out, by the classes of pyiso20022.

It reads what Countersign writes; a bank's own system may write more, and any prefix.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from lxml import etree
from pyiso20022.pacs.pacs_002_001_10 import pacs_002_001_10 as pacs002
from pyiso20022.pacs.pacs_008_001_08 import pacs_008_001_08 as pacs008
from xsdata.exceptions import ConverterError, ParserError
from xsdata.formats.dataclass.context import XmlContext
from xsdata.formats.dataclass.models.generics import AnyElement
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig
from xsdata.formats.dataclass.parsers.handlers import LxmlEventHandler
from xsdata.formats.dataclass.serializers import XmlSerializer
from xsdata.models.datatype import XmlDateTime, XmlTime

from countersign_partner.formats import Instruction, Malformed, Report, time_of

_CODES = {"ACCEPTED": "ACSC", "PENDING": "PDNG", "REJECTED": "RJCT"}
_STATUSES = {
    **{code: status for status, code in _CODES.items()},
    "ACCC": "ACCEPTED",
    "ACSP": "PENDING",
}
_NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:"
_NOT_PROVIDED = "NOTPROVIDED"
_REFERENCE = "/ROC/"
_FIELDS = {
    *("uetr", "end_to_end_id", "amount", "currency"),
    *("debtor", "creditor", "requested_at", "expires_at"),
}
_MAX_END_TO_END_ID, _MAX_ACCOUNT = 35, 34
# It keeps what it has learned of the classes: a message takes 1 ms instead of 10.
_CONTEXT = XmlContext()


class IsoFormat:
    """ISO 20022 in XML; the contract's table says which element has which field."""

    name = "iso20022"
    content_type = "application/xml"

    def read_instruction(self, value: bytes) -> Instruction:
        try:
            return _instruction_of(_read(value, pacs008.Document))
        except (AttributeError, OverflowError, TypeError, ValueError) as error:
            raise Malformed(f"{type(error).__name__}: {error}") from None

    def write_report(self, report: Report) -> bytes:
        return _written(_status_report_of(report, datetime.now(UTC)), "pacs.002.001.10")

    def write_instruction(self, fields: dict[str, Any]) -> bytes:
        return _written(_transfer_of(fields), "pacs.008.001.08")

    def read_report(self, value: bytes) -> Report:
        (found,) = _read(value, pacs002.Document).fito_fipmt_sts_rpt.tx_inf_and_sts
        at = found.fctv_intr_bk_sttlm_dt
        reasons = [one.rsn.cd for one in found.sts_rsn_inf if one.rsn]
        return Report(
            uetr=found.orgnl_uetr,
            status=_STATUSES.get(found.tx_sts, found.tx_sts),
            reason=reasons[0] if reasons else None,
            bank_reference=found.acct_svcr_ref,
            booked_at=at.dt_tm.to_datetime().isoformat() if at and at.dt_tm else None,
        )


def _read(value: bytes, root: type[Any]) -> Any:
    """Parse a document without entities and network. Raises ValueError."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    config = ParserConfig(fail_on_converter_warnings=True)
    if b"<!DOCTYPE" in value:
        raise ValueError("a document type is not allowed")
    try:
        element = etree.fromstring(value, parser)
        binder = XmlParser(context=_CONTEXT, config=config, handler=LxmlEventHandler)
        return binder.parse(element, root)
    except (etree.XMLSyntaxError, ParserError, ConverterError) as error:
        raise ValueError(str(error)) from None


def _written(document: Any, name: str) -> bytes:
    text = XmlSerializer(context=_CONTEXT).render(document, ns_map={None: _NAMESPACE + name})
    return text.encode()


def _instruction_of(document: Any) -> Instruction:
    message = document.fito_ficstmr_cdt_trf
    (transfer,) = message.cdt_trf_tx_inf
    requested_at = message.grp_hdr.cre_dt_tm.to_datetime()
    return Instruction(
        uetr=str(UUID(transfer.pmt_id.uetr)),
        end_to_end_id=_end_to_end_id(transfer),
        amount=transfer.intr_bk_sttlm_amt.value,
        currency=transfer.intr_bk_sttlm_amt.ccy,
        debtor=_account_of(transfer.dbtr_acct),
        creditor=_account_of(transfer.cdtr_acct),
        requested_at=requested_at,
        expires_at=_expires_at(transfer, requested_at),
    )


def _end_to_end_id(transfer: Any) -> str:
    """Return the reference; a long one is a text of the remittance information."""
    texts = transfer.rmt_inf.ustrd if transfer.rmt_inf else []
    long = [text.removeprefix(_REFERENCE) for text in texts if text.startswith(_REFERENCE)]
    found = transfer.pmt_id.end_to_end_id
    return str(long[0] if found == _NOT_PROVIDED and long else found)


def _account_of(account: Any) -> str:
    return str(account.prxy.id if account.prxy else account.id.othr.id)


def _expires_at(transfer: Any, requested_at: datetime) -> datetime | None:
    """Return the first such time of day after the message's own time."""
    limit = transfer.sttlm_tm_req.rjct_tm if transfer.sttlm_tm_req else None
    if limit is None:
        return None
    time = limit.to_time()
    at = datetime.combine(requested_at.astimezone(time.tzinfo), time)
    return at if at > requested_at else at + timedelta(days=1)


def _status_report_of(report: Report, now: datetime) -> pacs002.Document:
    code, identity = _CODES[report.status], report.uetr.replace("-", "")
    transaction = pacs002.PaymentTransaction110(
        orgnl_grp_inf=pacs002.OriginalGroupInformation29(
            orgnl_msg_id=identity, orgnl_msg_nm_id="pacs.008.001.08"
        ),
        orgnl_uetr=report.uetr,
        tx_sts=code,
        sts_rsn_inf=_reasons(report.reason),
        fctv_intr_bk_sttlm_dt=_booked(report.booked_at),
        acct_svcr_ref=report.bank_reference,
    )
    header = pacs002.GroupHeader91(
        msg_id=f"{identity}{code[:3]}", cre_dt_tm=XmlDateTime.from_datetime(now)
    )
    found = pacs002.FitoFipaymentStatusReportV10(grp_hdr=header, tx_inf_and_sts=[transaction])
    return pacs002.Document(fito_fipmt_sts_rpt=found)


def _reasons(reason: str | None) -> list[pacs002.StatusReasonInformation12]:
    code = pacs002.StatusReason6Choice(cd=reason)
    return [pacs002.StatusReasonInformation12(rsn=code)] if reason else []


def _booked(booked_at: str | None) -> pacs002.DateAndDateTime2Choice | None:
    if booked_at is None:
        return None
    time = XmlDateTime.from_datetime(time_of(booked_at).astimezone(UTC))
    return pacs002.DateAndDateTime2Choice(dt_tm=time)


def _transfer_of(fields: dict[str, Any]) -> pacs008.Document:
    reference, limit = fields["end_to_end_id"], fields["expires_at"]
    is_long = len(reference) > _MAX_END_TO_END_ID
    header = pacs008.GroupHeader93(
        msg_id=fields["uetr"].replace("-", ""),
        cre_dt_tm=XmlDateTime.from_datetime(time_of(fields["requested_at"])),
        nb_of_txs="1",
        sttlm_inf=pacs008.SettlementInstruction7(sttlm_mtd=pacs008.SettlementMethod1Code.INDA),
    )
    transaction = pacs008.CreditTransferTransaction39(
        pmt_id=pacs008.PaymentIdentification7(
            end_to_end_id=_NOT_PROVIDED if is_long else reference, uetr=fields["uetr"]
        ),
        intr_bk_sttlm_amt=pacs008.ActiveCurrencyAndAmount(
            value=Decimal(fields["amount"]), ccy=fields["currency"]
        ),
        sttlm_tm_req=pacs008.SettlementTimeRequest2(rjct_tm=_time_of_day(limit)) if limit else None,
        chrg_br=pacs008.ChargeBearerType1Code.SLEV,
        dbtr=pacs008.PartyIdentification135(),
        dbtr_acct=_account(fields["debtor"]["account"]),
        dbtr_agt=_agent(fields["debtor"]["agent"]),
        cdtr_agt=_agent(fields["creditor"]["agent"]),
        cdtr=pacs008.PartyIdentification135(),
        cdtr_acct=_account(fields["creditor"]["account"]),
        rmt_inf=pacs008.RemittanceInformation16(ustrd=[_REFERENCE + reference])
        if is_long
        else None,
        splmtry_data=[_unknown(name) for name in sorted(fields.keys() - _FIELDS)],
    )
    transfers = pacs008.FitoFicustomerCreditTransferV08(
        grp_hdr=header, cdt_trf_tx_inf=[transaction]
    )
    return pacs008.Document(fito_ficstmr_cdt_trf=transfers)


def _unknown(name: str) -> pacs008.SupplementaryData1:
    """Return data that no reader has to know: what ISO 20022 has for unknown fields."""
    element = AnyElement(qname=f"{{urn:example}}{name}", text="later")
    return pacs008.SupplementaryData1(envlp=pacs008.SupplementaryDataEnvelope1(any_element=element))


def _time_of_day(text: str) -> XmlTime:
    return XmlTime.from_time(time_of(text).astimezone(UTC).timetz())


def _account(account: str) -> pacs008.CashAccount38:
    is_long = len(account) > _MAX_ACCOUNT
    other = pacs008.GenericAccountIdentification1(id=_NOT_PROVIDED if is_long else account)
    return pacs008.CashAccount38(
        id=pacs008.AccountIdentification4Choice(othr=other),
        prxy=pacs008.ProxyAccountIdentification1(id=account) if is_long else None,
    )


def _agent(agent: str) -> pacs008.BranchAndFinancialInstitutionIdentification6:
    other = pacs008.GenericFinancialIdentification1(id=agent)
    found = pacs008.FinancialInstitutionIdentification18(othr=other)
    return pacs008.BranchAndFinancialInstitutionIdentification6(fin_instn_id=found)
