"""All faults by name, with their numbers of injections in the smoke run and the full run."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import chaos_abuse as abuse
import chaos_names as names
import chaos_network as network
import chaos_outside as outside
import chaos_processes as processes
import chaos_records as records
import chaos_rules as rules
from chaos_arena import Arena

Strike = Callable[[Arena, int], Awaitable[str]]
"""Injects the fault, waits for recovery, and returns a remark. Raises NotHealedError."""


@dataclass(frozen=True)
class Fault:
    """One row of the fault matrix."""

    name: str
    strike: Strike
    smoke: int
    """Injections in the smoke run; 0: only in the full run."""
    full: int
    under_load: bool = True
    causes_dead_letters: bool = False
    """Whether the fault causes dead letters; other faults must cause none."""


FAULTS: tuple[Fault, ...] = (
    Fault("service killed", processes.kill_services, smoke=14, full=180),
    Fault("service stands still", processes.stand_still, smoke=0, full=12),
    Fault("broker killed", processes.kill_kafka, smoke=1, full=10),
    Fault("database killed", processes.kill_postgres, smoke=1, full=5),
    Fault("Redis killed and wiped", processes.kill_redis, smoke=2, full=5),
    Fault("partner loses", outside.partner_loses, smoke=1, full=5),
    Fault("partner errs", outside.partner_errs, smoke=0, full=5),
    Fault("partner down", outside.partner_down, smoke=0, full=10),
    Fault("partner lies", outside.partner_lies, smoke=0, full=1, under_load=False),
    Fault("OFAC down", outside.ofac_down, smoke=0, full=2),
    Fault("OFAC slow", outside.ofac_slow, smoke=0, full=2),
    Fault("KYC down", outside.kyc_down, smoke=0, full=2),
    Fault("KYC slow", outside.kyc_slow, smoke=0, full=2),
    Fault("compliance away", rules.compliance_away, smoke=0, full=2),
    Fault("screening killed", names.kill_screening, smoke=0, full=2 * names.IS_INSTALLED),
    Fault("risk stopped", processes.stop_risk, smoke=0, full=3),
    Fault("otp stopped", processes.stop_otp, smoke=0, full=3),
    Fault("links slow", network.slow, smoke=0, full=2),
    Fault("links half-open", network.half_open, smoke=0, full=2),
    Fault("links reset", network.reset, smoke=1, full=3),
    Fault("poison records", records.poison, smoke=0, full=1, causes_dead_letters=True),
    Fault("topics replayed", records.replay, smoke=0, full=2, under_load=False),
    Fault("a hundred at once", abuse.duplicates, smoke=3, full=500),
    Fault("codes tried out", abuse.codes, smoke=0, full=100),
    Fault("hot accounts", abuse.hot_accounts, smoke=1, full=5),
    Fault("rolling restart", processes.rolling_restart, smoke=1, full=2),
)
