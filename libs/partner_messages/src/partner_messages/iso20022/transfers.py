"""Instructions as pacs.008.001.08, one transfer a message.

| field | element |
|---|---|
| `uetr` | `PmtId/UETR`; `GrpHdr/MsgId` is the same without hyphens |
| `end_to_end_id` | `PmtId/EndToEndId`; above 35 characters `/ROC/…` in `RmtInf/Ustrd` |
| `debtor`, `creditor` | `DbtrAcct`, `CdtrAcct`: `Id/Othr/Id`; above 34 characters `Prxy/Id` |
| their `agent` | `DbtrAgt`, `CdtrAgt`: `FinInstnId/Othr/Id` |
| `requested_at` | `GrpHdr/CreDtTm` |
| `expires_at` | `SttlmTmReq/RjctTm`: the first such time of day after `CreDtTm` |

The absent identifier beside such a long one is `NOTPROVIDED`, as the market practice has it.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from pyiso20022.pacs.pacs_008_001_08 import pacs_008_001_08 as pacs
from xsdata.models.datatype import XmlTime

from partner_messages.errors import Malformed
from partner_messages.fields import amount_text, built
from partner_messages.iso20022.documents import Kind, time_of, xml_time
from partner_messages.messages import Instruction, Party

TRANSFER = Kind("pacs.008.001.08", pacs.Document)
NOT_PROVIDED = "NOTPROVIDED"
_REFERENCE = "/ROC/"
_MAX_END_TO_END_ID = 35
_MAX_ACCOUNT = 34
DAY = timedelta(days=1)


def transfer_of(instruction: Instruction) -> pacs.Document:
    """Return the document of an instruction. Raises Malformed where it expires too late."""
    header = pacs.GroupHeader93(
        msg_id=instruction.uetr.hex,
        cre_dt_tm=xml_time(instruction.requested_at),
        nb_of_txs="1",
        sttlm_inf=pacs.SettlementInstruction7(sttlm_mtd=pacs.SettlementMethod1Code.INDA),
    )
    return pacs.Document(
        fito_ficstmr_cdt_trf=pacs.FitoFicustomerCreditTransferV08(
            grp_hdr=header, cdt_trf_tx_inf=[_transaction(instruction)]
        )
    )


def instruction_of(document: pacs.Document) -> Instruction:
    """Return the instruction of a document. Raises Malformed naming the field."""
    message = document.fito_ficstmr_cdt_trf
    if len(message.cdt_trf_tx_inf) != 1:
        raise Malformed("CdtTrfTxInf", "must be there once")
    (transaction,) = message.cdt_trf_tx_inf
    requested_at = time_of(message.grp_hdr.cre_dt_tm, "GrpHdr.CreDtTm")
    amount = transaction.intr_bk_sttlm_amt
    return built(
        Instruction,
        uetr=uuid_of(transaction.pmt_id.uetr, "PmtId.UETR"),
        end_to_end_id=_end_to_end_id(transaction),
        currency=amount.ccy,
        amount=amount_text(amount.value, amount.ccy),
        debtor=_party("DbtrAcct", transaction.dbtr_acct, transaction.dbtr_agt),
        creditor=_party("CdtrAcct", transaction.cdtr_acct, transaction.cdtr_agt),
        requested_at=requested_at,
        expires_at=_expires_at(transaction, requested_at),
    )


def uuid_of(text: str | None, field: str) -> UUID:
    """Return a UETR; the schema has checked its form. Raises Malformed where it is missing."""
    if text is None:
        raise Malformed(field, "missing")
    return UUID(text)


def _transaction(instruction: Instruction) -> pacs.CreditTransferTransaction39:
    reference = instruction.end_to_end_id
    is_long = len(reference) > _MAX_END_TO_END_ID
    return pacs.CreditTransferTransaction39(
        pmt_id=pacs.PaymentIdentification7(
            end_to_end_id=NOT_PROVIDED if is_long else reference, uetr=str(instruction.uetr)
        ),
        intr_bk_sttlm_amt=pacs.ActiveCurrencyAndAmount(
            value=Decimal(instruction.money.major()), ccy=instruction.currency
        ),
        sttlm_tm_req=_limit(instruction),
        chrg_br=pacs.ChargeBearerType1Code.SLEV,
        dbtr=pacs.PartyIdentification135(),
        dbtr_acct=_account(instruction.debtor),
        dbtr_agt=_agent(instruction.debtor),
        cdtr_agt=_agent(instruction.creditor),
        cdtr=pacs.PartyIdentification135(),
        cdtr_acct=_account(instruction.creditor),
        rmt_inf=pacs.RemittanceInformation16(ustrd=[_REFERENCE + reference]) if is_long else None,
    )


def _limit(instruction: Instruction) -> pacs.SettlementTimeRequest2 | None:
    if instruction.expires_at is None:
        return None
    if not timedelta() < instruction.expires_at - instruction.requested_at <= DAY:
        raise Malformed("expires_at", "must be within a day after requested_at")
    time = XmlTime.from_time(instruction.expires_at.timetz())
    return pacs.SettlementTimeRequest2(rjct_tm=time)


def _expires_at(
    transaction: pacs.CreditTransferTransaction39, requested_at: datetime
) -> datetime | None:
    limit = transaction.sttlm_tm_req.rjct_tm if transaction.sttlm_tm_req else None
    if limit is None:
        return None
    time = limit.to_time()
    if time.tzinfo is None:
        raise Malformed("SttlmTmReq.RjctTm", "must have a time zone")
    try:
        at = datetime.combine(requested_at.astimezone(time.tzinfo), time).astimezone(UTC)
        return at if at > requested_at else at + DAY
    except OverflowError:
        raise Malformed("SttlmTmReq.RjctTm", "out of range") from None


def _account(party: Party) -> pacs.CashAccount38:
    is_long = len(party.account) > _MAX_ACCOUNT
    account = pacs.GenericAccountIdentification1(id=NOT_PROVIDED if is_long else party.account)
    return pacs.CashAccount38(
        id=pacs.AccountIdentification4Choice(othr=account),
        prxy=pacs.ProxyAccountIdentification1(id=party.account) if is_long else None,
    )


def _agent(party: Party) -> pacs.BranchAndFinancialInstitutionIdentification6:
    return pacs.BranchAndFinancialInstitutionIdentification6(
        fin_instn_id=pacs.FinancialInstitutionIdentification18(
            othr=pacs.GenericFinancialIdentification1(id=party.agent)
        )
    )


def _party(
    field: str,
    account: pacs.CashAccount38 | None,
    agent: pacs.BranchAndFinancialInstitutionIdentification6,
) -> Party:
    bank = agent.fin_instn_id.othr
    if account is None or account.id.othr is None or bank is None:
        raise Malformed(field, "account and agent need Othr.Id")
    found = account.prxy.id if account.prxy else account.id.othr.id
    return built(Party, account=found, agent=bank.id)


def _end_to_end_id(transaction: pacs.CreditTransferTransaction39) -> str:
    texts = transaction.rmt_inf.ustrd if transaction.rmt_inf else []
    references = [text for text in texts if text.startswith(_REFERENCE)]
    if transaction.pmt_id.end_to_end_id == NOT_PROVIDED and references:
        return references[0].removeprefix(_REFERENCE)
    return transaction.pmt_id.end_to_end_id
