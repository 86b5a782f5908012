"""The wiring of settlement."""

from collections.abc import Mapping, Sequence
from functools import partial

from fastapi import APIRouter

from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from service_runtime.admin import together
from service_runtime.clock import Clock
from service_runtime.consumer import Handler
from service_runtime.http_client import HttpClient, RequestNotSent
from service_runtime.jobs import Every, Job
from service_runtime.keys import NamedSecrets, SecretFile
from service_runtime.messages import Received
from service_runtime.process import Process
from service_runtime.service import Service
from service_runtime.work import Work, Worker
from service_runtime.work_table import PostgresWorkTable
from settlement import handlers
from settlement.clients import HttpPartnerBank, PartnerBank
from settlement.domain import NextStep
from settlement.routes import CaseOperations, case_routes, key_routes, routes
from settlement.routes.overview import HttpProfile, Overview, overview_routes
from settlement.routes.partners import PartnerChanges, partner_routes
from settlement.settings import Settings
from settlement.store import (
    DUE_PUBLICATIONS,
    TABLE,
    PostgresCases,
    PostgresInstructions,
    instruction_of,
    waiting,
)

COUNT_EVERY_S = 30.0
"""Seconds between two counts of the unresolved cases; an alert uses the count."""
PARTNERS_EVERY_S = 10.0
"""Seconds between two counts of what waits at banks on Kafka."""


def build(settings: Settings) -> Process:
    """Return the process of settlement."""
    service = Service("settlement", settings)
    service.authenticate(settings.mac_keys, SettlementRequested, SettlementUpdated)
    banks = {
        partner: HttpPartnerBank(service.use(_client(settings, partner)), partner)
        for partner in settings.partners
    }
    senders = {
        partner: service.worker(_work(settings, partner, bank, NextStep.SEND, service.clock))
        for partner, bank in banks.items()
    }
    outlet = handlers.Outlet(settings.partner_signing_keys)
    service.worker(_publications(outlet))
    for partner, bank in banks.items():
        service.worker(_work(settings, partner, bank, NextStep.ENQUIRE, service.clock))
    reconciliation = handlers.Reconciliation(
        banks, PostgresCases, service.unit.run_in_transaction, service.clock
    )
    every_s = Every(settings.reconcile_every_s)
    service.job(Job("reconciliation", every_s, lambda _run: reconciliation.run()))
    received_every_s = Every(COUNT_EVERY_S)
    service.job(
        Job("statements", received_every_s, lambda _run: reconciliation.reconcile_received())
    )
    service.every("cases", COUNT_EVERY_S, reconciliation.count)
    watch = handlers.PartnerWatch(waiting, service.unit.run_in_transaction)
    service.every("partners", PARTNERS_EVERY_S, watch.count)
    replays = handlers.Replays(outlet, service.unit.run_in_transaction, service.clock)
    service.every("replays", handlers.REPLAY_STEP_S, replays.step)
    return service.process(
        handlers=[_handler(settings, senders, outlet), _reports()],
        emits=[SettlementUpdated, AuditRecorded],
        routes=together(
            _routes(service, settings, reconciliation, replays),
            overview_routes(_overview(service, settings, banks), service.operators),
        ),
    )


def _routes(
    service: Service,
    settings: Settings,
    reconciliation: handlers.Reconciliation,
    replays: handlers.Replays,
) -> APIRouter:
    resolutions = handlers.Resolutions(
        PostgresCases, service.unit.run_in_transaction, service.clock
    )
    cases = CaseOperations(service.database, PostgresCases, reconciliation, resolutions.resolve)
    router = APIRouter()
    router.include_router(routes(service.database, service.operators))
    router.include_router(key_routes(settings.partner_signing_keys))
    router.include_router(case_routes(cases, service.operators))
    changes = PartnerChanges(service.requests, service.clock, replays)
    router.include_router(partner_routes(service.database, changes, service.operators))
    return router


def _overview(service: Service, settings: Settings, banks: Mapping[str, PartnerBank]) -> Overview:
    by_http = {}
    for partner in banks:
        profile, policy = settings.profile_of(partner), settings.policy(partner)
        by_http[partner] = HttpProfile(
            is_idempotent=policy.is_idempotent,
            in_flight_s=policy.in_flight_s,
            batch_rows=profile.batch_rows,
            concurrency=settings.concurrency(partner),
        )
    return Overview(service.database, service.clock, by_http, lambda name: banks[name].is_open)


def _client(settings: Settings, partner: str) -> HttpClient:
    return HttpClient(
        partner,
        f"{settings.partner_bank_url.rstrip('/')}/banks/{partner}",
        settings.partner_timeout_s,
        partial(_secret_of, settings.partner_credentials, partner),
    )


def _secret_of(file: SecretFile[NamedSecrets], partner: str) -> str:
    secrets = file.get().get(partner)
    if not secrets:
        raise RequestNotSent(f"{partner}: PARTNER_CREDENTIALS_FILE has no secret")
    return secrets[0]


def _handler(settings: Settings, senders: Mapping[str, Worker], outlet: handlers.Outlet) -> Handler:
    routing = handlers.Routing(settings.partner_routes, settings.default_partner, senders)

    def wake(received: Sequence[Received[SettlementRequested]]) -> None:
        for partner in {routing.partner_of(item.event) for item in received}:
            senders[partner].wake()

    return Handler(
        event=SettlementRequested,
        handle=partial(handlers.on_settlement_requested, routing=routing, outlet=outlet),
        store=PostgresInstructions,
        after_commit=[wake],
    )


def _reports() -> Handler:
    """Return the handler of the reports of every bank on Kafka, new ones as they come."""
    return Handler(
        event=None,
        handle=handlers.on_bank_reports,
        store=PostgresInstructions,
        pattern=handlers.REPORT_TOPICS,
    )


def _publications(outlet: handlers.Outlet) -> Work:
    """Return the work on what is published later or again; nothing outside is called."""
    return Work(
        table=PostgresWorkTable(TABLE, instruction_of, due=DUE_PUBLICATIONS),
        handle=partial(handlers.on_due_publications, outlet=outlet),
        store=PostgresInstructions,
        checks_epochs=True,
    )


def _work(
    settings: Settings, partner: str, bank: PartnerBank, step: NextStep, clock: Clock
) -> Work:
    """Return the work of one partner and step; a slow bank delays no other partner."""
    policy, is_send = settings.policy(partner), step is NextStep.SEND
    send = handlers.send if policy.is_idempotent else handlers.send_once
    only = {"partner": partner, "next_step": step.value}
    return Work(
        table=PostgresWorkTable(TABLE, instruction_of, only),
        handle=partial(handlers.on_due_instructions, policy=policy),
        store=PostgresInstructions,
        begin=handlers.on_due_instructions_claimed,
        gather=partial(send if is_send else handlers.enquire, bank=bank, clock=clock),
        may_start=lambda: not bank.is_open,
        slice_rows=settings.profile_of(partner).batch_rows,
        concurrency=settings.concurrency(partner) if is_send else 1,
        checks_epochs=True,
        # What was lost before it was sent looks like what was sent: an idempotent bank is asked,
        # and gets it again. At another bank a person would have to resolve it.
        takes_over=is_send and policy.is_idempotent,
    )
