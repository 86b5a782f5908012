"""The identity service, wired."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from fastapi import APIRouter

from identity.clients.attempts import NEVER_LOCAL, Attempts
from identity.clients.passwords import Passwords, common_passwords
from identity.clients.tokens import OwnKeys, TokenIssuer
from identity.domain.passwords import PasswordRules
from identity.domain.subjects import user_id_of
from identity.routes import Parts, public_routes
from identity.routes.admin import WRITE, AdminRoutes
from identity.routes.commits import Commits
from identity.routes.session_acts import SessionActs
from identity.routes.sign_ins import PasswordCheck, SignIns
from identity.settings import Settings
from identity.store import Addresses, AddressKeys, Users, forget_addresses
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.subject import SubjectErased
from service_runtime.clock import Clock
from service_runtime.edge import Admission
from service_runtime.edge.limits import SharedLimits
from service_runtime.jobs import Every, Job, Run
from service_runtime.postgres import PostgresTransaction
from service_runtime.process import Process
from service_runtime.retention import Retention
from service_runtime.service import Service
from service_runtime.storage import folder_keys
from service_runtime.subjects import Erasure, Vault
from service_runtime.tokens import TokenRules, TokenVerifier
from service_runtime.web import HttpPolicy

MOST_BODY_BYTES = 16 * 1024
SEAL_EVERY_S = 10.0
"""One read of an index that is empty, once all addresses are sealed."""
SEALED_AT_ONCE = 100
SESSIONS = Retention("session", "expires_at", timedelta(days=0), "identity")
"""A session's refresh tokens are deleted with it. Until then, a reuse is found."""
CODES = [
    Retention(table, "expires_at", timedelta(days=1))
    for table in ("authorization_code", "device_code")
]
"""A code lives for minutes. Within a day, its second use ends what the first one has opened."""


def build(settings: Settings, clock: Clock | None = None) -> Process:
    """Return the process: users and clients get tokens, everybody gets the keys."""
    policy = HttpPolicy(max_body_bytes=MOST_BODY_BYTES)
    service = Service("identity", settings, clock, policy)
    issuer = TokenIssuer(
        keys=settings.signing_keys,
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        operator_audience=settings.operator_audience,
        life_s=settings.token_life_s,
        clock=service.clock,
    )
    for kept in (SESSIONS, *CODES):
        service.retain(kept)
    addresses = AddressKeys(Vault(folder_keys(settings), service.clock), settings.email_lookup_keys)
    parts = Parts(
        SignIns(
            _check(service, settings, addresses),
            _admission(service, settings),
            _attempts(service, settings, addresses),
        ),
        Commits(service.unit, service.name, service.clock),
        SessionActs(settings.session_rules, issuer, service.clock),
    )
    router = APIRouter()
    router.include_router(public_routes(parts))
    admin = AdminRoutes(service, parts.acts)
    admin.add_to(router)
    router.include_router(service.two_people(admin.acts(), WRITE))
    erasure = _erasure(service, settings, addresses, parts.acts)
    return service.process(handlers=[erasure.handler], emits=[AuditRecorded], routes=router)


def _erasure(
    service: Service, settings: Settings, addresses: AddressKeys, acts: SessionActs
) -> Erasure:
    """Return what is done for erased persons; add its jobs, and one that seals addresses."""
    service.authenticate(settings.mac_compliance_keys, SubjectErased)

    async def forget(tx: PostgresTransaction, user_ids: Sequence[str]) -> None:
        await forget_addresses(tx, user_ids)
        for user_id in filter(None, map(user_id_of, user_ids)):
            await Users(tx).erase(user_id, service.clock.now())
            await acts.end_all(tx, user_id, "erasure")

    async def seal(_run: Run) -> None:
        sealed = SEALED_AT_ONCE
        while sealed == SEALED_AT_ONCE:
            async with service.database.transaction() as tx:
                sealed = await Addresses(tx, addresses).seal_older(SEALED_AT_ONCE)

    erasure = Erasure(
        service.name, addresses.vault, service.database, service.unit, service.clock, forget
    )
    for job in (*erasure.jobs(), Job("addresses-sealed", Every(SEAL_EVERY_S), seal)):
        service.job(job)
    return erasure


def _admission(service: Service, settings: Settings) -> Admission:
    rules = TokenRules(
        settings.token_issuer,
        settings.token_audience,
        refused_kids=frozenset(settings.refused_kids),
    )
    own = TokenVerifier(OwnKeys(settings.signing_keys), rules)
    # In development, too: a request without a token is nobody's.
    return replace(Admission.of(service, settings, own), anonymous_user=None)


def _check(service: Service, settings: Settings, addresses: AddressKeys) -> PasswordCheck:
    passwords = Passwords(settings.password_workers)
    service.use(passwords.executor)
    shortest = settings.password_min_characters
    rules = PasswordRules(common_passwords(shortest), shortest)
    return PasswordCheck(service.database, passwords, addresses, rules)


def _attempts(service: Service, settings: Settings, addresses: AddressKeys) -> Attempts:
    limits = SharedLimits(
        settings.redis_url, settings.redis_password, settings.redis_tls_ca, NEVER_LOCAL
    )
    return Attempts(
        service.use(limits),
        addresses.pseudonym,
        settings.logins_per_account,
        settings.logins_per_address,
        settings.registrations_per_address,
    )
