"""The command `countersign-partner`."""

import argparse
import asyncio
import contextlib
import json
import sys
from pathlib import Path

from countersign_partner.answering import answer
from countersign_partner.formats import format_of
from countersign_partner.listening import listen
from countersign_partner.properties import partner_of
from countersign_partner.signing import SigningKey
from countersign_partner.verification.results import table_of, write_junit
from countersign_partner.verification.rules import RULES, name_of
from countersign_partner.verification.run import Plan, verification


def main() -> int:
    """Run one of the commands; return the exit status."""
    given = _parser().parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        return int(given.run(given) or 0)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="countersign-partner", description=__doc__)
    commands = parser.add_subparsers(required=True)
    new = commands.add_parser("key", help="make a signing key; prints the key set for Countersign")
    new.add_argument("file", type=Path, help="new file; its name without .pem is the key's id")
    new.set_defaults(run=_key)
    heard = commands.add_parser("listen", help="print the instructions and judge their signatures")
    heard.add_argument("properties", type=Path)
    heard.set_defaults(run=lambda given: asyncio.run(listen(partner_of(given.properties))))
    scripted = commands.add_parser("answer", help="answer every instruction with one status")
    scripted.add_argument("properties", type=Path)
    scripted.add_argument("key", type=Path, help="the bank's key, PEM; its name is the key's id")
    scripted.add_argument(
        "--status", choices=["ACCEPTED", "PENDING", "REJECTED"], default="ACCEPTED"
    )
    scripted.add_argument("--reason", default="AC04", help="of REJECTED (ISO 20022)")
    scripted.set_defaults(run=_answer)
    _add_verify(commands.add_parser("verify", help="try every rule on the bank's own consumer"))
    return parser


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kafka", type=Path, help="client configuration of the sandbox's Kafka")
    parser.add_argument("keys", type=Path, help="the bank's key set, as `key` printed it")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- and the bank's command")
    parser.add_argument("--junit", type=Path, help="write JUnit XML to this file")
    parser.add_argument("--accepted", default="payee-1", help="an account that the bank accepts")
    parser.add_argument("--rejected", default="payee-rejected", help="one that it rejects")
    parser.add_argument("--reviewed", default="payee-late", help="one that is PENDING first")
    parser.add_argument("--within", type=float, default=10.0, help="seconds for each report")
    parser.add_argument("--format", choices=["json", "iso20022"], default="json")
    names = [name_of(rule) for rule in RULES]
    parser.add_argument("--only", choices=names, action="append", default=[], help="one rule")
    parser.set_defaults(run=_verify)


def _key(given: argparse.Namespace) -> None:
    key = SigningKey.new(given.file.stem)
    key.write(given.file)
    print(json.dumps({"keys": [key.jwk()]}, indent=2))


def _answer(given: argparse.Namespace) -> None:
    key = SigningKey.read(given.key.stem, given.key)
    reason = given.reason if given.status == "REJECTED" else None
    asyncio.run(answer(partner_of(given.properties), key, given.status, reason))


def _verify(given: argparse.Namespace) -> int:
    plan = Plan(
        kafka=given.kafka,
        bank_keys=json.loads(given.keys.read_text()),
        command=[one for one in given.command if one != "--"],
        accepted=given.accepted,
        rejected=given.rejected,
        reviewed=given.reviewed,
        within_s=given.within,
        form=format_of(given.format),
        only=tuple(given.only),
    )
    results = asyncio.run(verification(plan))
    print(table_of(results))
    if given.junit:
        write_junit(results, given.junit)
    return 1 if any(one.broken for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
