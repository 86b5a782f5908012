"""Wires the notification service."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

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
from notification.routes import CHANGE, change_approved, change_shown, routes
from notification.settings import Settings
from notification.store import (
    TABLE,
    PostgresContacts,
    PostgresDeliveries,
    delivery_of,
    forget,
)
from payment_schemas.events.confirmation import PaymentConfirmed, PaymentDeclined
from payment_schemas.events.otp import Challenged, CodesLockChanged, Verified
from payment_schemas.events.record import AuditRecorded, Channel, NotificationDelivered
from payment_schemas.events.settlement import SettlementUpdated
from payment_schemas.events.subject import SubjectErased
from service_runtime.admin import together
from service_runtime.consumer import Handler
from service_runtime.jobs import Every, Job, Run
from service_runtime.process import Process
from service_runtime.sealing import Sealer
from service_runtime.service import Service
from service_runtime.storage import folder_keys
from service_runtime.subjects import Erasure, Vault
from service_runtime.work import Work
from service_runtime.work_table import PostgresWorkTable

SEAL_EVERY_S = 10.0
"""One read of an index that is empty, once the contacts of before are sealed."""
SEALED_AT_ONCE = 100


def build(settings: Settings) -> Process:
    """Return the notification process, ready to run."""
    service = Service("notification", settings)
    vault = Vault(folder_keys(settings), service.clock)
    store = partial(PostgresDeliveries, vault=vault)
    erasure = _erasure(service, settings, vault)
    sms, email = service.use(_sms(settings)), service.use(_email(settings))
    texts = service.worker(_work(service, settings, store, Route("sms", sms)))
    mails = service.worker(_work(service, settings, store, Route("email", email)))
    outcomes = (PaymentConfirmed, PaymentDeclined, SettlementUpdated, CodesLockChanged)
    return service.process(
        handlers=[
            Handler(Verified, handlers.on_verified, store),
            Handler(Challenged, handlers.on_challenged, store, after_commit=[texts.wake]),
            *[
                Handler(outcome, handlers.on_outcome, store, after_commit=[mails.wake])
                for outcome in outcomes
            ],
            erasure.handler,
        ],
        emits=[NotificationDelivered, AuditRecorded],
        routes=_routes(service, vault),
    )


def _routes(service: Service, vault: Vault) -> APIRouter:
    return together(
        routes(service.database, service.requests, service.credentials, service.operators, vault),
        service.two_people(
            {CHANGE: partial(change_approved, vault=vault)},
            "contacts.write",
            shown={CHANGE: partial(change_shown, vault=vault)},
        ),
    )


def _erasure(service: Service, settings: Settings, vault: Vault) -> Erasure:
    """Return what is done for erased persons; add its jobs, and the sealing of older contacts."""
    service.authenticate(settings.mac_compliance_keys, SubjectErased)
    erasure = Erasure(service.name, vault, service.database, service.unit, service.clock, forget)

    async def seal(_run: Run) -> None:
        sealed = SEALED_AT_ONCE
        while sealed == SEALED_AT_ONCE:
            async with service.database.transaction() as tx:
                sealed = await PostgresContacts(tx, vault).seal_older(SEALED_AT_ONCE)

    for job in (*erasure.jobs(), Job("contacts-sealed", Every(SEAL_EVERY_S), seal)):
        service.job(job)
    return erasure


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


@dataclass(frozen=True, slots=True)
class Route:
    """A channel and what sends its messages."""

    channel: Channel
    messenger: Messenger


def _work(
    service: Service, settings: Settings, store: Callable[[Any], PostgresDeliveries], route: Route
) -> Work:
    channel, messenger = route.channel, route.messenger
    policy = Policy(settings.retry_first_s, settings.retry_most_s)

    async def load(due: Sequence[Delivery]) -> Surroundings:
        async with service.database.transaction() as tx:
            return await handlers.surroundings_of(due, store(tx))

    sealer = Sealer(settings.notification_sealing_keys)
    return Work(
        table=PostgresWorkTable(TABLE, delivery_of, {"channel": channel}),
        handle=partial(handlers.on_due_deliveries, policy=policy),
        store=store,
        gather=handlers.Sender(messenger, load, sealer),
        may_start=lambda: not messenger.is_open,
        slice_rows=MOST_MAILS if channel == "email" else _threads(settings),
        # One slice is saved while the next one is sent; a thread's two calls fit the lease.
        concurrency=2,
    )
