"""Clients of the text message and e-mail providers."""

from notification.clients.http_transport import HttpTransport
from notification.clients.messengers import MemoryMessenger, Messenger, ThreadedMessenger
from notification.clients.sdks import SendgridMail, TwilioAccount, TwilioSms

__all__ = [
    "HttpTransport",
    "MemoryMessenger",
    "Messenger",
    "SendgridMail",
    "ThreadedMessenger",
    "TwilioAccount",
    "TwilioSms",
]
