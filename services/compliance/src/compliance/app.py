"""The compliance service, wired."""

from datetime import timedelta
from functools import partial
from typing import LiteralString

from compliance.clients.onfido import Account, Onfido
from compliance.domain.rulebook import Rulebook
from compliance.handlers import Handlers, stores
from compliance.handlers.kyc import Caller, Policy, load, on_called
from compliance.handlers.subjects import SubjectJobs
from compliance.routes import CLOSE_CASE, SET_RULE, Api, close_case, kyc_routes, routes, set_rule
from compliance.routes.kyc_api import KycApi
from compliance.routes.subjects import ERASE, SUBJECTS, erase_approved
from compliance.settings import Settings
from compliance.store.kyc import CHECK_TABLE, Kyc, check_of
from compliance.store.names import PayerNames
from compliance.store.vault import Vault
from payment_schemas.events.confirmation import PaymentConfirmed, ReviewOpened
from payment_schemas.events.kyc import KycStatusChanged
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.events.subject import SubjectErased
from payment_schemas.scopes import Scope
from service_runtime.admin import Findings, add_check, check_router, together
from service_runtime.compute import Bounds, Executor
from service_runtime.consumer import Handler
from service_runtime.edge import Admission
from service_runtime.jobs import Every, Job
from service_runtime.lanes import LaneWork
from service_runtime.postgres import PostgresTransaction
from service_runtime.process import Process
from service_runtime.proposals import CarryOut
from service_runtime.retention import Retention
from service_runtime.sealing import Sealer
from service_runtime.service import Service
from service_runtime.storage import object_store, subject_keys
from service_runtime.work_table import PostgresWorkTable

DESTROY_EVERY_S = 2.0
"""A key of an erased subject is gone within it; the look is one read of an index."""
LOOK_AFTER_KEYS_S = 3600.0
"""Reads each key: a file of 100 bytes."""
EXPIRE_EVERY_S = 60.0
LEASE_BEYOND_S = 10.0
PAGES_WITHIN_S = 2.8
"""Of an upload, its wait included: the gateway waits 3.5 s."""
CALLS = 8
NOT_HELD: LiteralString = "user_id not in (select user_id from subject where held_at is not null)"


async def check(_tx: PostgresTransaction, _since: object) -> Findings:
    """Return no findings: what could be wrong, the database refuses."""
    return Findings([], [])


def retentions(settings: Settings, vault: Vault) -> list[Retention]:
    """Return how long the tables keep their rows; documents go with their rows."""
    life = timedelta(days=settings.kyc_document_days)
    return [
        Retention("known_payment", "seen_at", settings.history_life, "history"),
        Retention("compliance_check", "created_at", settings.check_life, "records"),
        Retention("kyc_document", "uploaded_at", life, "identity", NOT_HELD, vault.release),
        Retention("kyc_check", "ended_at", life, "records", NOT_HELD),
        Retention("review_case", "closed_at", settings.case_life, "records"),
    ]


def build(settings: Settings) -> Process:
    """Return the process: checks over HTTP, and the history that they read."""
    service = Service("compliance", settings)
    api = Api(
        requests=service.requests,
        database=service.database,
        operators=service.operators,
        clock=service.clock,
        usd_rates=settings.usd_rates,
        book=Rulebook(),
        zone=settings.zone,
        filer=settings.institution,
    )
    kyc = _identities(service, settings)
    sealer = Sealer(settings.screening_sealing_keys)
    names = PayerNames(service.database, kyc.vault.keys, sealer)
    service.authenticate(settings.mac_risk_keys, KycStatusChanged)
    for reader, keys in settings.erasure_keys.items():
        service.authenticate(keys, SubjectErased, reader=reader)
    service.retain(*retentions(settings, kyc.vault))
    checks = check_router(service.operators)
    add_check(checks, service.database, check)
    acts: dict[str, CarryOut] = {
        SET_RULE: set_rule,
        CLOSE_CASE: partial(close_case, api),
        ERASE: partial(erase_approved, vault=kyc.vault),
    }
    hidden: dict[str, Scope] = {CLOSE_CASE: "reviews.write", ERASE: SUBJECTS}
    approvals = service.two_people(acts, "compliance.write", hidden)
    read = Handlers(settings.zone)
    return service.process(
        handlers=[
            Handler(RiskAssessed, read.on_risk_assessed, stores),
            Handler(PaymentConfirmed, read.on_payment_confirmed, stores),
            Handler(ReviewOpened, read.on_review_opened, stores),
        ],
        emits=[AuditRecorded, KycStatusChanged, SubjectErased],
        routes=together(
            routes(api, service.credentials),
            kyc_routes(kyc, service.operators, names, service.credentials),
            approvals,
            checks,
        ),
    )


def _identities(service: Service, settings: Settings) -> KycApi:
    """Return what the routes of identity checks need; add their worker and jobs."""
    account = Account(
        settings.kyc_provider_url,
        settings.kyc_provider_token,
        settings.kyc_webhook_token,
        settings.kyc_provider_timeout_s,
    )
    provider = service.use(Onfido(account))
    keys, documents = subject_keys(service, settings), object_store(service, settings)
    vault = Vault(keys, documents, service.clock)
    workers = settings.page_workers
    bounds = Bounds(workers, 4 * workers, PAGES_WITHIN_S)
    checking = service.lanes(_checking(settings, provider, vault))
    _add_jobs(service, SubjectJobs(vault, provider, service.database, service.unit, service.clock))
    return KycApi(
        requests=service.requests,
        database=service.database,
        admission=Admission.of(service, settings),
        vault=vault,
        pages=service.use(Executor("pages", bounds, processes=True)) if workers else None,
        webhooks=provider,
        lookup_keys=settings.subject_lookup_keys,
        clock=service.clock,
        validity=settings.validity,
        wake=checking.wake,
        writes_per_minute=settings.kyc_per_minute,
        reads_per_minute=settings.reads_per_minute,
    )


def _checking(settings: Settings, provider: Onfido, vault: Vault) -> LaneWork:
    policy = Policy(
        first_s=settings.kyc_poll_first_s,
        most_s=settings.kyc_poll_most_s,
        give_up=timedelta(hours=settings.kyc_give_up_h),
        validity=settings.validity,
    )
    return LaneWork(
        table=PostgresWorkTable(CHECK_TABLE, check_of),
        handle=partial(on_called, policy=policy),
        store=Kyc,
        load=load,
        act=Caller(provider, vault),
        lease_s=settings.kyc_provider_timeout_s + LEASE_BEYOND_S,
        concurrency=CALLS,
    )


def _add_jobs(service: Service, jobs: SubjectJobs) -> None:
    service.job(Job("subjects-erased", Every(DESTROY_EVERY_S), jobs.destroy))
    service.job(Job("subject-keys", Every(LOOK_AFTER_KEYS_S), jobs.look_after_keys))
    service.job(Job("kyc-expired", Every(EXPIRE_EVERY_S), jobs.expire))
