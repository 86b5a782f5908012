"""Messages as ISO 20022: the extra `iso20022` of this package installs what it needs."""

from datetime import datetime

from lxml import etree
from pyiso20022.head.head_001_001_02 import head_001_001_02 as head

from partner_messages.errors import Malformed
from partner_messages.iso20022.documents import Kind, read, tree_of, written
from partner_messages.iso20022.reports import (
    RETURN,
    STATUS_REPORT,
    report_of,
    report_of_return,
    status_report_of,
)
from partner_messages.iso20022.statements import STATEMENT, page_of, statement_of
from partner_messages.iso20022.transfers import TRANSFER, instruction_of, transfer_of
from partner_messages.messages import Instruction, Report, StatementPage

HEADER = Kind("head.001.001.02", head.AppHdr, "AppHdr")


class IsoFormat:
    """ISO 20022 in XML. The value is a `Document`, or has one beside its `AppHdr`."""

    content_type = "application/xml"

    def encode_instruction(self, instruction: Instruction) -> bytes:
        return written(TRANSFER, transfer_of(instruction))

    def decode_instruction(self, value: bytes) -> Instruction:
        return instruction_of(read(TRANSFER, _document(value)))

    def encode_report(self, report: Report, created_at: datetime | None = None) -> bytes:
        return written(STATUS_REPORT, status_report_of(report, _time(created_at, report.booked_at)))

    def decode_report(self, value: bytes) -> Report:
        document = _document(value)
        if document.tag == RETURN.tag:
            return report_of_return(read(RETURN, document))
        return report_of(read(STATUS_REPORT, document))

    def encode_statement(self, page: StatementPage, created_at: datetime | None = None) -> bytes:
        last = page.entries[-1].booked_at if page.entries else None
        return written(STATEMENT, statement_of(page, _time(created_at, last)))

    def decode_statement(self, value: bytes) -> StatementPage:
        return page_of(read(STATEMENT, _document(value)))


def _time(created_at: datetime | None, booked_at: datetime | None) -> datetime:
    time = created_at or booked_at
    if time is None:
        raise Malformed("created_at", "missing: ISO 20022 has it in each message")
    return time


def _document(value: bytes) -> etree._Element:
    """Return the `Document` of a value. Raises Malformed.

    Banks' systems wrap it with a business application header (head.001.001.02); what is around
    both is theirs.
    """
    root = tree_of(value)
    if etree.QName(root).localname == "Document":
        return root
    found = list(root.iter("{*}Document"))
    if len(found) != 1:
        raise Malformed("Document", "must be there once")
    parent = found[0].getparent()
    headers = [] if parent is None else parent.findall(HEADER.tag)
    if len(headers) != 1:
        raise Malformed("AppHdr", "must be beside the Document, once")
    named = Kind(read(HEADER, headers[0]).msg_def_idr, object)
    if found[0].tag != named.tag:
        raise Malformed("AppHdr.MsgDefIdr", "must be the kind of the Document")
    return found[0]
