"""The providers of text messages and mails."""

from notification.clients.messengers import MemoryMessenger, Messenger, ThreadedMessenger
from notification.clients.sdks import SendgridMail, TwilioAccount, TwilioSms
from notification.clients.wire import Wire

__all__ = [
    "MemoryMessenger",
    "Messenger",
    "SendgridMail",
    "ThreadedMessenger",
    "TwilioAccount",
    "TwilioSms",
    "Wire",
]
