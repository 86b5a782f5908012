"""The table of contract cases, for the tests with a scripted and with the real gateway."""

import inspect
import json
from pathlib import Path

_TABLE = json.loads((Path(__file__).parents[2] / "contract-cases.json").read_text())
CASES = _TABLE["cases"]
PAYMENT = _TABLE["payment"]


def arguments(case, **changes):
    """Return the arguments of a case's call: of a confirmation, or of a read."""
    payment = {**PAYMENT, **changes, **case.get("with", {})}
    if case.get("call", "confirm") == "confirm":
        codes = iter(case.get("codes", ()))
        return {**payment, **({"code": lambda _: next(codes)} if "codes" in case else {})}
    names = ("transaction_id", "deadline_s")
    return {name: payment[name] for name in names if name in payment}


async def done(call, **arguments):
    """Make a call of either client."""
    result = call(**arguments)
    return await result if inspect.isawaitable(result) else result


def assert_outcome(case, outcome, but=(), **changes):
    """Compare a result or error with the case; `changes` are what stands for the table's values."""
    [(kind, fields)] = case["outcome"].items()
    assert type(outcome).__name__ == kind, repr(outcome)
    found = {name: getattr(outcome, name) for name in fields if name not in but}
    expected = {name: value for name, value in fields.items() if name not in but}
    for name in expected.keys() & changes.keys():
        expected[name] = changes[name]
    if "amount" in found:
        found["amount"] = str(found["amount"])
    assert found == expected
