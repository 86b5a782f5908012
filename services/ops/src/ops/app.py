"""Wires the server of ops: the continuous check, routes for the command, and the console."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from fastapi import APIRouter

from ops.check.conservation import Conservation
from ops.check.sources import Sources
from ops.clients.addresses import Addresses
from ops.clients.begun_sign_ins import BegunSignIns
from ops.clients.browser_sessions import BrowserSessions, redis_of
from ops.clients.code_flow import CodeFlow
from ops.clients.jaeger import Jaeger
from ops.clients.prometheus import Prometheus
from ops.clients.provider import Provider
from ops.clients.system import System
from ops.console import refusals, sign_in
from ops.console.frame import Console, Cookies
from ops.console.pages import (
    SECTIONS,
    access,
    dead_letters,
    identity_checks,
    lab,
    models,
    now,
    payment_parts,
    payments,
    proposals,
    reconciliation,
    reviews,
)
from ops.console.pages import charges as charge_pages
from ops.console.pages import partners as partner_pages
from ops.console.pages import system as system_page
from ops.console.pages.runbooks import runbook_page
from ops.console.viewers import Limits as SessionLimits
from ops.console.viewers import Stores, Viewers
from ops.routes import dead_letters as letter_routes
from ops.routes import discards, partners, redrives, runbooks
from ops.settings import Settings
from ops.watch import Times, Watch
from payment_schemas.events.record import AuditRecorded
from service_runtime.admin import together
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.service import Service


def build(settings: Settings, clock: Clock | None = None) -> Process:
    """Return the server, ready to run."""
    # No service makes it unready: its task is to report services that do not respond.
    service = Service("ops", settings, clock)
    addresses = _addresses(settings, service)
    system = System(addresses)
    watch = Watch(
        Sources(system),
        Conservation(system),
        service.clock,
        settings.limits(),
        Times(settings.check_every_s, settings.check_whole_hour),
    )
    service.run(watch.run)
    routes = together(_routes(service, settings), _console(service, settings, system, watch))
    return service.process(emits=[AuditRecorded], routes=routes)


def _addresses(settings: Settings, service: Service) -> Addresses:
    own = settings.ops_url or f"http://127.0.0.1:{settings.port}"
    others = {
        "gateway": settings.gateway_url,
        "issuer": settings.issuer_url,
        "identity": settings.identity_url,
    }
    mocks = settings.lab_urls if settings.profile == "dev" else {}
    named = {name: url for name, url in (others | mocks).items() if url}
    return Addresses(
        {**settings.admin_urls, **named, "ops": own},
        lambda: settings.brokers,
        credential_file=str(settings.internal_credential_file),
        admins=tuple(settings.admin_urls),
        tls=service.tls,
        operator_issuer=settings.operator_issuer,
    )


def _routes(service: Service, settings: Settings) -> APIRouter:
    brokers, clock = settings.brokers, service.clock
    acts = {
        redrives.REDRIVE: redrives.approved(brokers, clock),
        discards.DISCARD: discards.approved(brokers),
    }
    service.retain(discards.DISCARDS)
    requests, operators = service.requests, service.operators
    return together(
        letter_routes.routes(brokers, service.database, operators),
        redrives.routes(brokers, requests, operators, clock),
        discards.routes(brokers, service.database, requests, operators),
        service.two_people(acts, "dlq.redrive"),
        partners.routes(requests, operators),
    )


def _console(service: Service, settings: Settings, system: System, watch: Watch) -> APIRouter:
    redis = redis_of(settings.redis_url, settings.redis_password, settings.redis_tls_ca)
    addresses = replace(system.addresses, client_id=settings.console_client_id)
    # Identity may be the issuer, whose certificate is of this system's authority.
    provider = Provider(addresses, settings.http_tls_ca)
    limits = SessionLimits(settings.console_idle_minutes * 60, settings.console_life_hours * 3600)
    stores = Stores(BrowserSessions(redis, "signed-in"), BrowserSessions(redis, "notice"))
    viewers = Viewers(stores, provider, system, service.clock, limits)
    is_development = settings.profile == "dev"
    console = Console(
        url=settings.console_url,
        viewers=viewers,
        flow=CodeFlow(provider, f"{settings.console_url}/signed-in", settings.browser_urls),
        cookies=Cookies(settings.console_url.startswith("https:")),
        life_s=limits.life_s,
        is_development=is_development,
        links={"trace": settings.traces_url},
        sections=[one for one in SECTIONS if is_development or not one.is_development],
    )
    refusals.add_refusals(service.app, console)
    return together(
        sign_in.routes(console, BegunSignIns(addresses.credential, service.clock)),
        runbooks.router(page=partial(runbook_page, console)),
        now.routes(console, _figures(watch), Prometheus(settings.prometheus_url)),
        payments.routes(console, service.clock),
        charge_pages.routes(console, service.clock),
        payment_parts.routes(console, Jaeger(settings.jaeger_url)),
        dead_letters.routes(console, service.clock),
        proposals.routes(console),
        reconciliation.routes(console),
        reviews.routes(console, service.clock),
        models.routes(console),
        identity_checks.routes(console, service.clock),
        partner_pages.routes(console),
        access.routes(console, service.clock),
        system_page.routes(console, _checked(watch)),
        *([lab.routes(console, service.clock, list(settings.lab_urls))] if is_development else []),
    )


def _figures(watch: Watch) -> Callable[[], now.Figures]:
    """Return what reads the figures of the continuous check."""

    def read() -> now.Figures:
        found = watch.sweep.latest
        return now.Figures(
            dead_letters=found.dead_letters,
            parked=found.parked,
            violations={name: int(n) for name, n in watch.sweep.violations().items() if n},
            missing=tuple(found.missing),
            checked_at=watch.checked_at,
        )

    return read


def _checked(watch: Watch) -> Callable[[], system_page.Checked]:
    """Return what reads the last round of the continuous check."""

    def read() -> system_page.Checked:
        found = watch.sweep.latest
        return system_page.Checked(
            checked_at=watch.checked_at,
            owners=found.owners,
            violations={name: int(n) for name, n in watch.sweep.violations().items()},
            counts=found.checked,
            missing=found.missing,
        )

    return read
