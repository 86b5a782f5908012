"""Clients of the text message and e-mail providers."""

from notification.clients.http_transport import HttpTransport
from notification.clients.mail_call import MOST_MAILS, calls_of
from notification.clients.messengers import MemoryMessenger, Messenger, ThreadedMessenger
from notification.clients.sdks import SendgridMail, TwilioAccount, TwilioSms

__all__ = [
    "MOST_MAILS",
    "HttpTransport",
    "MemoryMessenger",
    "Messenger",
    "SendgridMail",
    "ThreadedMessenger",
    "TwilioAccount",
    "TwilioSms",
    "calls_of",
]
