"""The wiring of settlement."""

from collections.abc import Mapping, Sequence
from functools import partial

from fastapi import APIRouter

from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.settlement import SettlementRequested, SettlementUpdated
from service_runtime.clock import Clock
from service_runtime.consumer import Handler
from service_runtime.http_client import HttpClient
from service_runtime.jobs import Every, Job
from service_runtime.messages import Received
from service_runtime.process import Process
from service_runtime.service import Service
from service_runtime.work import Work, Worker
from service_runtime.work_table import PostgresWorkTable
from settlement import handlers
from settlement.clients import HttpPartnerBank, PartnerBank
from settlement.domain import NextStep
from settlement.routes import CaseOperations, case_routes, routes
from settlement.settings import Settings
from settlement.store import TABLE, PostgresCases, PostgresInstructions, instruction_of

COUNT_EVERY_S = 30.0
"""Seconds between two counts of the unresolved cases; an alert uses the count."""


def build(settings: Settings) -> Process:
    """Return the process of settlement."""
    service = Service("settlement", settings)
    banks = {
        partner: HttpPartnerBank(service.use(_client(settings, partner)), partner)
        for partner in settings.partners
    }
    senders = {
        partner: service.worker(_work(settings, partner, bank, NextStep.SEND, service.clock))
        for partner, bank in banks.items()
    }
    for partner, bank in banks.items():
        service.worker(_work(settings, partner, bank, NextStep.ENQUIRE, service.clock))
    reconciliation = handlers.Reconciliation(
        banks, PostgresCases, service.unit.run_in_transaction, service.clock
    )
    every_s = Every(settings.reconcile_every_s)
    service.job(Job("reconciliation", every_s, lambda _run: reconciliation.run()))
    service.every("cases", COUNT_EVERY_S, reconciliation.count)
    return service.process(
        handlers=[_handler(settings, senders)],
        emits=[SettlementUpdated, AuditRecorded],
        routes=_routes(service, reconciliation),
    )


def _routes(service: Service, reconciliation: handlers.Reconciliation) -> APIRouter:
    resolutions = handlers.Resolutions(
        PostgresCases, service.unit.run_in_transaction, service.clock
    )
    cases = CaseOperations(service.database, PostgresCases, reconciliation, resolutions.resolve)
    router = APIRouter()
    router.include_router(routes(service.database, service.credentials))
    router.include_router(case_routes(cases, service.credentials))
    return router


def _client(settings: Settings, partner: str) -> HttpClient:
    secret = settings.secrets_by_partner[partner]
    return HttpClient(
        partner,
        f"{settings.partner_bank_url.rstrip('/')}/banks/{partner}",
        settings.partner_timeout_s,
        {"Authorization": f"Bearer {secret}"},
    )


def _handler(settings: Settings, senders: Mapping[str, Worker]) -> Handler:
    routing = handlers.Routing(settings.partner_routes, settings.default_partner)

    def wake(received: Sequence[Received[SettlementRequested]]) -> None:
        for partner in {routing.partner_of(item.event) for item in received}:
            senders[partner].wake()

    return Handler(
        event=SettlementRequested,
        handle=partial(handlers.on_settlement_requested, routing=routing),
        store=PostgresInstructions,
        after_commit=[wake],
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
    )
