"""Operator routes over all partners: statements by day, and what each bank does now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response

from service_runtime.admin import admin_router
from service_runtime.clock import Clock
from service_runtime.operators import Operators
from service_runtime.paging import START, Keyset, Page
from service_runtime.ports import Database
from service_runtime.web import JsonResponse
from settlement.domain.partners import KafkaPartner
from settlement.store import PostgresPartners, overview

MOST_DAYS = 31
MOST_CASES = 200
BY_AGE = Keyset(["opened_at", "id"], [datetime(1970, 1, 1, tzinfo=UTC), START], MOST_CASES)
Days = Annotated[int, Query(ge=1, le=MOST_DAYS)]
Partner = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Day = Annotated[date, Path()]


@dataclass(frozen=True, slots=True)
class HttpProfile:
    """A partner bank over HTTP, as the settings have it."""

    is_idempotent: bool
    in_flight_s: float
    batch_rows: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What the routes read."""

    database: Database
    clock: Clock
    by_http: Mapping[str, HttpProfile]
    is_open: Callable[[str], bool]
    """Whether this process sends nothing to a bank now: its breaker, or a pause."""


def overview_routes(found: Overview, operators: Operators) -> APIRouter:
    """Return the routes; they need the scope `ops.read`."""
    router = admin_router(operators)

    @router.get("/statements")
    async def statements(days: Days = 7) -> Response:
        """Return what matched and what is broken, by partner and day, the newest day first."""
        until = found.clock.now().date()
        since = until - timedelta(days=days - 1)
        async with found.database.transaction() as tx:
            partners = sorted({*found.by_http, *await PostgresPartners(tx).profiles()})
            rows = await overview.statement_days(tx, partners, since, until)
        return JsonResponse({"days": rows, "counted_to": overview.MOST_OF_DAY})

    @router.get("/statements/{partner}/{day}/cases")
    async def cases(partner: Partner, day: Day, page: Annotated[Page, Depends(BY_AGE)]) -> Response:
        """Return the cases of a partner's day, resolved ones, too, the oldest first."""
        async with found.database.transaction() as tx:
            rows = await overview.cases_of_day(tx, partner, day, page.after, page.limit)
        return JsonResponse(page.reply("cases", rows))

    @router.get("/partner-activity")
    async def activity() -> Response:
        """Return every partner with its profile, and what is at it now."""
        async with found.database.transaction() as tx:
            by_kafka = await PostgresPartners(tx).profiles()
            now = await overview.activity(tx, sorted({*found.by_http, *by_kafka}))
        rows = [_shown(found, by_kafka.get(name), now[name]) for name in sorted(now)]
        return JsonResponse({"partners": rows, "counted_to": overview.MOST_COUNTED})

    return router


def _shown(
    found: Overview, by_kafka: KafkaPartner | None, now: Mapping[str, Any]
) -> dict[str, Any]:
    name = now["partner"]
    http = found.by_http.get(name)
    return {
        **now,
        # A bank that has moved to Kafka may still have transfers of before over HTTP.
        "transport": "kafka" if by_kafka else "http",
        "is_open": found.is_open(name) if http else None,
        "suspended_at": by_kafka.suspended_at if by_kafka else None,
        "profile": _kafka_profile(by_kafka) if by_kafka else http,
    }


def _kafka_profile(profile: KafkaPartner) -> dict[str, Any]:
    return {
        "format": profile.format,
        "partitions": profile.partitions,
        "account_prefixes": profile.account_prefixes,
        "answer_within_s": profile.answer_within_s,
        "enquire_after_s": profile.enquire_after_s,
        "keys": [key["kid"] for key in profile.keys["keys"]],
        "version": profile.version,
    }
