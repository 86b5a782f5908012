"""Pages of statements as camt.054.001.08: notifications of bookings on our account at the bank.

| field | element |
|---|---|
| `statement_id` | `GrpHdr/MsgId` (written with the page's number) and `Ntfctn/Id` |
| `page`, `is_last` | `GrpHdr/MsgPgntn`; without it, the message is the only page |
| `day` | the day (UTC) of `Ntfctn/FrToDt/FrDtTm` |
| an entry | `Ntry` with status `BOOK`, or each `NtryDtls/TxDtls` of it |
| `is_reversal` | `RvslInd` |
| `bank_reference` | `AcctSvcrRef` |

A page has one `Ntfctn`. Entries that are not booked (`PDNG`, `INFO`) are ignored: they may change.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import Decimal

from pyiso20022.camt.camt_054_001_08 import camt_054_001_08 as camt

from partner_messages.errors import Malformed
from partner_messages.fields import amount_text, built
from partner_messages.iso20022.documents import Kind, time_of, xml_time
from partner_messages.iso20022.transfers import DAY, uuid_of
from partner_messages.messages import MAX_ENTRIES, StatementEntry, StatementPage

STATEMENT = Kind("camt.054.001.08", camt.Document)
_ACCOUNT = "countersign"
"""The id of our account in what we write ourselves."""
_BOOKED = "BOOK"
_CODE = camt.BankTransactionCodeStructure4(
    domn=camt.BankTransactionCodeStructure5(
        cd="PMNT", fmly=camt.BankTransactionCodeStructure6(cd="ICDT", sub_fmly_cd="ESCT")
    )
)
"""External code set: an issued credit transfer."""


def statement_of(page: StatementPage, created_at: datetime) -> camt.Document:
    """Return the document of a page that is written at `created_at`."""
    midnight = datetime.combine(page.day, time(), UTC)
    end = min(midnight, datetime.max.replace(tzinfo=UTC) - DAY) + DAY
    notification = camt.AccountNotification17(
        id=page.statement_id,
        fr_to_dt=camt.DateTimePeriod1(fr_dt_tm=xml_time(midnight), to_dt_tm=xml_time(end)),
        acct=camt.CashAccount39(
            id=camt.AccountIdentification4Choice(
                othr=camt.GenericAccountIdentification1(id=_ACCOUNT)
            )
        ),
        ntry=[_entry(one) for one in page.entries],
    )
    pages = camt.Pagination1(pg_nb=str(page.page), last_pg_ind=page.is_last)
    header = camt.GroupHeader81(
        msg_id=page.statement_id, cre_dt_tm=xml_time(created_at), msg_pgntn=pages
    )
    return camt.Document(
        bk_to_cstmr_dbt_cdt_ntfctn=camt.BankToCustomerDebitCreditNotificationV08(
            grp_hdr=header, ntfctn=[notification]
        )
    )


def page_of(document: camt.Document) -> StatementPage:
    """Return the page of a document. Raises Malformed naming the field."""
    message = document.bk_to_cstmr_dbt_cdt_ntfctn
    if len(message.ntfctn) != 1:
        raise Malformed("Ntfctn", "must be there once")
    (notification,) = message.ntfctn
    if notification.fr_to_dt is None:
        raise Malformed("Ntfctn.FrToDt", "missing")
    pages = message.grp_hdr.msg_pgntn
    entries = tuple(_entries(notification.ntry))
    if len(entries) > MAX_ENTRIES:
        raise Malformed("Ntfctn.Ntry", f"more than {MAX_ENTRIES} entries on a page")
    return built(
        StatementPage,
        statement_id=notification.id,
        day=time_of(notification.fr_to_dt.fr_dt_tm, "Ntfctn.FrToDt.FrDtTm").date(),
        page=int(pages.pg_nb) if pages else 1,
        is_last=pages.last_pg_ind if pages else True,
        entries=entries,
    )


def _entry(entry: StatementEntry) -> camt.ReportEntry10:
    side = camt.CreditDebitCode.CRDT if entry.is_reversal else camt.CreditDebitCode.DBIT
    references = camt.TransactionReferences6(uetr=str(entry.uetr))
    return camt.ReportEntry10(
        amt=camt.ActiveOrHistoricCurrencyAndAmount(
            value=Decimal(entry.money.major()), ccy=entry.currency
        ),
        cdt_dbt_ind=side,
        rvsl_ind=True if entry.is_reversal else None,
        sts=camt.EntryStatus1Choice(cd=_BOOKED),
        bookg_dt=camt.DateAndDateTime2Choice(dt_tm=xml_time(entry.booked_at)),
        acct_svcr_ref=entry.bank_reference,
        bk_tx_cd=_CODE,
        ntry_dtls=[camt.EntryDetails9(tx_dtls=[camt.EntryTransaction10(refs=references)])],
    )


def _entries(found: list[camt.ReportEntry10]) -> Iterator[StatementEntry]:
    for entry in found:
        if entry.sts.cd == _BOOKED:
            details = [one for many in entry.ntry_dtls for one in many.tx_dtls]
            for one in details or [camt.EntryTransaction10()]:
                yield _movement(entry, one, is_alone=len(details) == 1)


def _movement(
    entry: camt.ReportEntry10, details: camt.EntryTransaction10, *, is_alone: bool
) -> StatementEntry:
    amount = details.amt or (entry.amt if is_alone else None)
    if amount is None:
        raise Malformed("Ntry.NtryDtls.TxDtls.Amt", "each of several transfers needs one")
    if entry.bookg_dt is None or entry.bookg_dt.dt_tm is None:
        raise Malformed("Ntry.BookgDt.DtTm", "missing")
    references = details.refs or camt.TransactionReferences6()
    return built(
        StatementEntry,
        uetr=uuid_of(references.uetr, "Ntry.NtryDtls.TxDtls.Refs.UETR"),
        currency=amount.ccy,
        amount=amount_text(amount.value, amount.ccy),
        is_reversal=bool(entry.rvsl_ind),
        bank_reference=references.acct_svcr_ref or entry.acct_svcr_ref,
        booked_at=time_of(entry.bookg_dt.dt_tm, "Ntry.BookgDt.DtTm"),
    )
