"""The charges service, wired."""

from datetime import timedelta
from functools import partial

from charges import handlers
from charges.clients import Provider, Router
from charges.clients.adyen import NAME as ADYEN
from charges.clients.adyen import AdyenAccount, AdyenProvider
from charges.clients.port import Guard
from charges.clients.stripe import NAME as STRIPE
from charges.clients.stripe import Stripe, StripeAccount
from charges.clients.vault import Codes, Vault, VaultKeys
from charges.routes import Api, routes
from charges.settings import LEASE_BEYOND_S, ProviderLimits, Settings
from charges.store import (
    CARD_TOKEN_TABLE,
    CHARGE_TABLE,
    REFUND_TABLE,
    Cards,
    Charges,
    ErasedSubjects,
    Refunds,
    Routes,
    Waiting,
    changes,
    charge_of,
    provision_of,
    queries,
    refund_of,
)
from payment_schemas.events.charges import ChargeChanged
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.subject import SubjectErased
from service_runtime.admin import add_check, check_router, together
from service_runtime.clock import chance
from service_runtime.compute import Bounds, Executor
from service_runtime.consumer import Handler
from service_runtime.edge import Admission
from service_runtime.file_keys import FileKeys
from service_runtime.jobs import Every, Job
from service_runtime.key_sets import EncryptionKeys
from service_runtime.lanes import LaneWork
from service_runtime.process import Process
from service_runtime.retention import Retention
from service_runtime.sealing import Sealer
from service_runtime.service import Service
from service_runtime.work_table import PostgresWorkTable

LEARN_EVERY_S = 1.0
VAULT_EVERY_S = 60.0
ERASE_EVERY_S = 5.0
EVALUATED_WITHIN_S = 20.0
VAULT_WORKERS, VAULT_QUEUE, VAULT_WITHIN_S = 2, 64, 2.0
WEBHOOK_DAYS = 30
"""Longer than any provider repeats a webhook (Stripe: 3 days, Adyen: 30 days at most)."""


def build(settings: Settings) -> Process:
    """Return the process: the API, and the workers that call providers."""
    service = Service("charges", settings)
    providers = _providers(service, settings)
    limits = {name: _limits_of(settings, name).limits() for name in providers}
    router, waiting = Router(providers, limits, chance()), Waiting()
    vault, codes = _vault(service, settings), Codes()
    charging = service.lanes(_charging(service, settings, providers, router, waiting))
    refunding = service.lanes(_refunding(settings, providers, waiting))
    storing = handlers.Provisioner(providers, vault, codes)
    provisioning = service.lanes(_provisioning(settings, storing, waiting))

    changes.announce(providers)
    _learn(service, router)
    _watch_vault(service, vault)
    service.retain(Retention("provider_event", "received_at", timedelta(days=WEBHOOK_DAYS)))
    api = Api(
        requests=service.requests,
        database=service.database,
        admission=Admission.of(service, settings),
        providers=providers,
        router=router,
        vault=vault,
        codes=codes,
        emails=Sealer(settings.charge_sealing_keys),
        threads=service.use(Executor("evaluation", Bounds(1, 2, EVALUATED_WITHIN_S))),
        waiting=waiting,
        clock=service.clock,
        apply={
            name: handlers.Reports(name, settings.policy, service.clock).apply for name in providers
        },
        place=charging.place,
        plan=partial(handlers.plan, router=router, policy=settings.policy, clock=service.clock),
        wake=charging.wake,
        wake_refunds=refunding.wake,
        wake_cards=provisioning.wake,
        answer_within_s=settings.charge_answer_within_s,
        unscored_most_minor=settings.unscored_most_minor,
        writes_per_minute=settings.charges_per_minute,
        reads_per_minute=settings.reads_per_minute,
    )
    checks = check_router(service.operators)
    add_check(checks, service.database, queries.check, CHARGE_TABLE)
    service.authenticate(settings.mac_compliance_keys, SubjectErased)
    eraser = handlers.Eraser(service.unit, service.clock)
    service.job(Job("cards-of-erased", Every(ERASE_EVERY_S), eraser.run))
    return service.process(
        handlers=[Handler(SubjectErased, handlers.on_erased, ErasedSubjects)],
        emits=[ChargeChanged, AuditRecorded],
        routes=together(routes(api, service.operators), checks),
    )


def _limits_of(settings: Settings, name: str) -> ProviderLimits:
    return settings.charge_providers.get(name, ProviderLimits())


def _providers(service: Service, settings: Settings) -> dict[str, Provider]:
    """Return the providers that are on."""
    within_s = settings.provider_timeout_s

    def guard(name: str) -> Guard:
        return Guard(name, within_s, settings.provider_open_s)

    found: dict[str, Provider] = {}
    if _limits_of(settings, STRIPE).is_on:
        secrets = settings.stripe_api_key, settings.stripe_webhook_secret
        stripe = StripeAccount(settings.stripe_url, *secrets, within_s)
        found[STRIPE] = service.use(Stripe(stripe, guard(STRIPE)))
    if _limits_of(settings, ADYEN).is_on:
        calls = settings.provider_calls
        threads = service.use(Executor(ADYEN, Bounds(min(calls, 16), calls, within_s)))
        keys = settings.adyen_api_key, settings.adyen_hmac_keys
        account = AdyenAccount(settings.adyen_url, *keys, within_s)
        found[ADYEN] = AdyenProvider(account, guard(ADYEN), threads)
    return found


def _charging(
    service: Service,
    settings: Settings,
    providers: dict[str, Provider],
    router: Router,
    waiting: Waiting,
) -> LaneWork:
    policy = settings.policy
    return LaneWork(
        table=PostgresWorkTable(CHARGE_TABLE, charge_of),
        handle=partial(handlers.on_called, router=router, policy=policy, waiting=waiting),
        store=Charges,
        load=partial(handlers.plan, router=router, policy=policy, clock=service.clock),
        act=handlers.Caller(providers, Sealer(settings.charge_sealing_keys)),
        lease_s=settings.provider_timeout_s + LEASE_BEYOND_S,
        concurrency=settings.provider_calls,
    )


def _refunding(settings: Settings, providers: dict[str, Provider], waiting: Waiting) -> LaneWork:
    return LaneWork(
        table=PostgresWorkTable(REFUND_TABLE, refund_of),
        handle=partial(handlers.on_refund_called, policy=settings.policy, waiting=waiting),
        store=Refunds,
        load=handlers.plan_refunds,
        act=handlers.RefundCaller(providers),
        lease_s=settings.provider_timeout_s + LEASE_BEYOND_S,
        concurrency=settings.provider_calls,
        checks_epochs=True,
    )


def _provisioning(settings: Settings, act: handlers.Provisioner, waiting: Waiting) -> LaneWork:
    return LaneWork(
        table=PostgresWorkTable(CARD_TOKEN_TABLE, provision_of),
        handle=partial(handlers.on_provisioned, policy=settings.policy, waiting=waiting),
        store=Cards,
        load=handlers.plan_provisions,
        act=act,
        lease_s=settings.provider_timeout_s + LEASE_BEYOND_S,
        concurrency=settings.provider_calls,
    )


def _vault(service: Service, settings: Settings) -> Vault:
    """Return the vault; its keys are read once here, so that a fault ends the start."""
    passphrase = settings.e2e_passphrase
    keys = VaultKeys(
        EncryptionKeys([settings.card_keys_file], passphrase),
        EncryptionKeys([settings.vault_keys_file], passphrase),
        settings.card_fingerprint_keys,
    )
    threads = service.use(Executor("vault", Bounds(VAULT_WORKERS, VAULT_QUEUE, VAULT_WITHIN_S)))
    return Vault(keys, service.use(FileKeys()), threads)


def _watch_vault(service: Service, vault: Vault) -> None:
    """Notice a ring without the key of a stored card, and seal cards of older keys anew."""

    async def look() -> None:
        async with service.database.transaction() as tx:
            vault.note_keys(await Cards(tx).key_counts())

    service.every("vault", VAULT_EVERY_S, look)
    resealer = handlers.Resealer(service.database, service.unit, vault, service.clock)
    service.job(Job("cards-sealed-anew", Every(VAULT_EVERY_S), resealer.run))


def _learn(service: Service, router: Router) -> None:
    """Read each second what all instances have learned."""

    async def read() -> None:
        async with service.database.transaction() as tx:
            router.replace(await Routes(tx).arms())

    service.every("routes", LEARN_EVERY_S, read)
