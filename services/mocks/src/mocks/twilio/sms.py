"""Twilio's requests, refusals and responses. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mocks.bodies import Refused

REFUSED_NUMBER = "+15005550001"
"""Twilio's test number for "invalid"."""
MAX_BODY_CHARACTERS = 1600
SEGMENT_CHARACTERS = 160
MAX_FORM_FIELDS = 50
API_VERSION = "2010-04-01"
_E164 = re.compile(r"\+[1-9]\d{6,14}")


@dataclass(frozen=True, slots=True)
class Sms:
    """A text message that can be sent."""

    to: str
    sender: str
    body: str
    delivery_id: str | None
    """The last part of the status callback's path: the sender's id of this delivery."""


def refusal(status: int, code: int, message: str) -> Refused:
    """Return a refusal in Twilio's format. Source: Twilio's error dictionary, by code."""
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": more_info, "status": status}
    return Refused(status, body)


def sms_of(form: bytes) -> Sms:
    """Return the message in a form body; raise Refused with Twilio's code for the bad field."""
    fields = _fields(form)
    to, body = _required(fields, "To", 21604), _required(fields, "Body", 21602)
    sender = _required(fields, "From", 21603)
    if to == REFUSED_NUMBER or not _E164.fullmatch(to):
        raise refusal(400, 21211, f"The 'To' number {to[:40]} is not a valid phone number.")
    if len(body) > MAX_BODY_CHARACTERS:
        raise refusal(400, 21617, "The 'Body' exceeds the 1600 character limit.")
    return Sms(to, sender, body, _last_part(fields.get("StatusCallback", "")))


def _fields(form: bytes) -> dict[str, str]:
    try:
        text = form.decode()
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS))
    except ValueError:
        raise refusal(400, 20001, "The body must be a form of at most 50 fields.") from None


def _required(fields: Mapping[str, str], name: str, code: int) -> str:
    value = fields.get(name, "")
    if not value:
        raise refusal(400, code, f"A '{name}' is required.")
    return value


def _last_part(callback: str) -> str | None:
    return urlsplit(callback).path.rstrip("/").rpartition("/")[2] or None


def resource(sid: str, account_sid: str, sms: Sms, now: datetime) -> dict[str, Any]:
    """Return a queued message in Twilio's format."""
    uri = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{sid}"
    created = format_datetime(now)
    return {
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "body": sms.body,
        "date_created": created,
        "date_sent": None,
        "date_updated": created,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": sms.sender,
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": str(-(-len(sms.body) // SEGMENT_CHARACTERS)),
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": sms.to,
        "uri": f"{uri}.json",
    }
