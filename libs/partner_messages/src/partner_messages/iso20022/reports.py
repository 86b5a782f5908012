"""Reports as pacs.002.001.10, and a payment that a bank sends back as pacs.004.001.10.

| `status` | `TxSts` |
|---|---|
| ACCEPTED | `ACSC` or `ACCC`; written as `ACSC` |
| PENDING | `PDNG` or `ACSP`; written as `PDNG` |
| REJECTED | `RJCT`, with its reason; also every pacs.004, with the return's reason |

`bank_reference` is `AcctSvcrRef` (of a return `RtrId`), `booked_at` is `FctvIntrBkSttlmDt/DtTm`.
"""

from datetime import datetime

from pyiso20022.pacs.pacs_002_001_10 import pacs_002_001_10 as pacs002
from pyiso20022.pacs.pacs_004_001_10 import pacs_004_001_10 as pacs004

from partner_messages.errors import Malformed
from partner_messages.fields import built
from partner_messages.iso20022.documents import Kind, time_of, xml_time
from partner_messages.iso20022.transfers import TRANSFER, uuid_of
from partner_messages.messages import Report, Status

STATUS_REPORT = Kind("pacs.002.001.10", pacs002.Document)
RETURN = Kind("pacs.004.001.10", pacs004.Document)
_STATUSES = {
    "ACSC": Status.ACCEPTED,
    "ACCC": Status.ACCEPTED,
    "PDNG": Status.PENDING,
    "ACSP": Status.PENDING,
    "RJCT": Status.REJECTED,
}
_CODES = {Status.ACCEPTED: "ACSC", Status.PENDING: "PDNG", Status.REJECTED: "RJCT"}


def status_report_of(report: Report, created_at: datetime) -> pacs002.Document:
    """Return the document of a report that is written at `created_at`."""
    code = _CODES[report.status]
    header = pacs002.GroupHeader91(
        msg_id=f"{report.uetr.hex}{code[:3]}", cre_dt_tm=xml_time(created_at)
    )
    transaction = pacs002.PaymentTransaction110(
        orgnl_grp_inf=pacs002.OriginalGroupInformation29(
            orgnl_msg_id=report.uetr.hex, orgnl_msg_nm_id=TRANSFER.name
        ),
        orgnl_uetr=str(report.uetr),
        tx_sts=code,
        sts_rsn_inf=_reasons(report),
        fctv_intr_bk_sttlm_dt=_booked(report),
        acct_svcr_ref=report.bank_reference,
    )
    return pacs002.Document(
        fito_fipmt_sts_rpt=pacs002.FitoFipaymentStatusReportV10(
            grp_hdr=header, tx_inf_and_sts=[transaction]
        )
    )


def report_of(document: pacs002.Document) -> Report:
    """Return the report of a document. Raises Malformed naming the field."""
    found = document.fito_fipmt_sts_rpt.tx_inf_and_sts
    if len(found) != 1:
        raise Malformed("TxInfAndSts", "must be there once")
    (transaction,) = found
    status = _STATUSES.get(transaction.tx_sts or "")
    if status is None:
        raise Malformed("TxInfAndSts.TxSts", f"must be one of {' '.join(_STATUSES)}")
    is_accepted = status is Status.ACCEPTED
    return built(
        Report,
        uetr=uuid_of(transaction.orgnl_uetr, "TxInfAndSts.OrgnlUETR"),
        status=status,
        reason=None if is_accepted else _reason(transaction.sts_rsn_inf),
        bank_reference=transaction.acct_svcr_ref,
        booked_at=_booked_at(transaction) if is_accepted else None,
    )


def report_of_return(document: pacs004.Document) -> Report:
    """Return the report of a returned payment. Raises Malformed naming the field.

    Only a whole transfer can be returned: a part would leave the rest in doubt.
    """
    found = document.pmt_rtr.tx_inf
    if len(found) != 1:
        raise Malformed("TxInf", "must be there once")
    (transaction,) = found
    sent, returned = transaction.orgnl_intr_bk_sttlm_amt, transaction.rtrd_intr_bk_sttlm_amt
    if sent is None or (sent.value, sent.ccy) != (returned.value, returned.ccy):
        raise Malformed("TxInf.RtrdIntrBkSttlmAmt", "must be OrgnlIntrBkSttlmAmt")
    return built(
        Report,
        uetr=uuid_of(transaction.orgnl_uetr, "TxInf.OrgnlUETR"),
        status=Status.REJECTED,
        reason=_reason(transaction.rtr_rsn_inf),
        bank_reference=transaction.rtr_id,
    )


def _reasons(report: Report) -> list[pacs002.StatusReasonInformation12]:
    if report.reason is None:
        return []
    reason = pacs002.StatusReason6Choice(cd=report.reason)
    return [pacs002.StatusReasonInformation12(rsn=reason)]


def _booked(report: Report) -> pacs002.DateAndDateTime2Choice | None:
    if report.booked_at is None:
        return None
    return pacs002.DateAndDateTime2Choice(dt_tm=xml_time(report.booked_at))


def _booked_at(transaction: pacs002.PaymentTransaction110) -> datetime | None:
    at = transaction.fctv_intr_bk_sttlm_dt
    if at is None or at.dt_tm is None:
        return None
    return time_of(at.dt_tm, "TxInfAndSts.FctvIntrBkSttlmDt.DtTm")


def _reason(
    found: list[pacs002.StatusReasonInformation12] | list[pacs004.PaymentReturnReason6],
) -> str | None:
    """Return the first external code; proprietary texts are no codes."""
    return next((one.rsn.cd for one in found if one.rsn and one.rsn.cd), None)
