"""One verification: start the bank, try every rule, stop the bank."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from countersign_partner.formats import JSON, Format
from countersign_partner.verification.process import BankProcess
from countersign_partner.verification.results import Result
from countersign_partner.verification.rules import RULES, Rule, Trial, name_of, reports, started
from countersign_partner.verification.sandbox import Broken, Sandbox


@dataclass(frozen=True)
class Plan:
    """What to verify."""

    kafka: Path
    """A Kafka client's configuration for the sandbox."""
    bank_keys: dict[str, Any]
    command: list[str]
    """The bank; `{properties}` and `{folder}` in it are replaced."""
    accepted: str
    rejected: str
    reviewed: str
    within_s: float
    form: Format = JSON
    only: tuple[str, ...] = ()
    """The names of the rules to try; empty: all."""

    def tries(self, rule: Rule) -> bool:
        """Return whether the plan has this rule."""
        return not self.only or name_of(rule) in self.only


async def verification(plan: Plan) -> list[Result]:
    """Return the result of every rule."""
    with tempfile.TemporaryDirectory(prefix="countersign-partner-") as name:
        folder = Path(name)
        async with Sandbox(plan.kafka, plan.bank_keys, plan.within_s, plan.form) as sandbox:
            file = folder / "partner.properties"
            sandbox.write_properties(file)
            command = [
                one.replace("{properties}", str(file)).replace("{folder}", name)
                for one in plan.command
            ]
            bank = BankProcess(command, folder / "bank.log")
            trial = Trial(sandbox, bank, plan.accepted, plan.rejected, plan.reviewed)
            await bank.start()
            try:
                return await _results(trial, [one for one in RULES if plan.tries(one)])
            finally:
                await bank.kill()


async def _results(trial: Trial, chosen: list[Rule]) -> list[Result]:
    results = [await _tried(started, trial)]
    if trial.sandbox.faults:
        # Whatever such a bank answers, settlement would not take it.
        results.append(await _tried(reports, trial))
    if any(one.broken for one in results):
        return results
    for rule in chosen:
        results.append(await _tried(rule, trial))
        if trial.bank.ended():
            await trial.bank.start()
    return results


async def _tried(rule: Rule, trial: Trial) -> Result:
    begun, broken = monotonic(), None
    try:
        await rule(trial)
    except (Broken, TimeoutError) as found:
        broken = trial.bank.ended() or str(found) or "no report"
    return Result(name_of(rule), (rule.__doc__ or "").strip(" ."), monotonic() - begun, broken)
