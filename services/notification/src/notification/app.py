"""Wires the notification service."""

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter

from notification import handlers
from notification.clients import (
    MOST_MAILS,
    HttpTransport,
    Messenger,
    SendgridMail,
    ThreadedMessenger,
    TwilioAccount,
    TwilioSms,
    calls_of,
)
from notification.domain import Delivery, Policy, Surroundings
from notification.routes import CHANGE, change_approved, routes
from notification.settings import Settings
from notification.store import TABLE, PostgresDeliveries, delivery_of
from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined
from payment_schemas.events.otp import Challenged, CodesLockChanged, Verified
from payment_schemas.events.record import AuditRecorded, Channel, NotificationDelivered
from payment_schemas.events.settlement import SettlementUpdated
from service_runtime.admin import together
from service_runtime.consumer import Handler
from service_runtime.process import Process
from service_runtime.sealing import Sealer
from service_runtime.service import Service
from service_runtime.work import Work
from service_runtime.work_table import PostgresWorkTable


def build(settings: Settings) -> Process:
    """Return the notification process, ready to run."""
    service = Service("notification", settings)
    sms, email = service.use(_sms(settings)), service.use(_email(settings))
    texts = service.worker(_work(service, settings, "sms", sms))
    mails = service.worker(_work(service, settings, "email", email))
    outcomes = (PaymentConfirmed, PaymentDeclined, SettlementUpdated, CodesLockChanged)
    return service.process(
        handlers=[
            Handler(Verified, handlers.on_verified, PostgresDeliveries),
            Handler(
                Challenged, handlers.on_challenged, PostgresDeliveries, after_commit=[texts.wake]
            ),
            *[
                Handler(outcome, handlers.on_outcome, PostgresDeliveries, after_commit=[mails.wake])
                for outcome in outcomes
            ],
        ],
        emits=[NotificationDelivered, AuditRecorded],
        routes=_routes(service),
    )


def _routes(service: Service) -> APIRouter:
    return together(
        routes(service.database, service.requests, service.credentials, service.operators),
        service.two_people(
            {CHANGE: partial(change_approved, clock=service.clock)}, "contacts.write"
        ),
    )


def _threads(settings: Settings) -> int:
    """Return the threads per provider: a provider that hangs delays only its own messages."""
    return settings.provider_threads // 2


def _sms(settings: Settings) -> ThreadedMessenger:
    account = TwilioAccount(
        settings.twilio_url,
        settings.twilio_account_sid,
        settings.twilio_auth_token,
        settings.twilio_from,
        settings.twilio_callback_url,
    )
    transport = HttpTransport(_threads(settings), settings.provider_timeout_s)
    return ThreadedMessenger("twilio", TwilioSms(account, transport), _threads(settings))


def _email(settings: Settings) -> ThreadedMessenger:
    transport = HttpTransport(_threads(settings), settings.provider_timeout_s)
    mail = SendgridMail(
        settings.sendgrid_url, settings.sendgrid_api_key, settings.sendgrid_from, transport
    )
    return ThreadedMessenger("sendgrid", mail, _threads(settings), calls_of)


def _work(service: Service, settings: Settings, channel: Channel, messenger: Messenger) -> Work:
    policy = Policy(settings.retry_first_s, settings.retry_most_s)

    async def load(due: Sequence[Delivery]) -> Surroundings:
        async with service.database.transaction() as tx:
            return await handlers.surroundings_of(due, PostgresDeliveries(tx))

    sealer = Sealer(settings.notification_sealing_keys)
    return Work(
        table=PostgresWorkTable(TABLE, delivery_of, {"channel": channel}),
        handle=partial(handlers.on_due_deliveries, policy=policy),
        store=PostgresDeliveries,
        gather=handlers.Sender(messenger, load, sealer),
        may_start=lambda: not messenger.is_open,
        slice_rows=MOST_MAILS if channel == "email" else _threads(settings),
        # One slice is saved while the next one is sent; a thread's two calls fit the lease.
        concurrency=2,
    )
