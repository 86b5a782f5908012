"""Partner banks on Kafka that are processes of the stack, added as an operator adds any other."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from local_stack.credentials import Credentials, bank_key_name, principal_name
from local_stack.errors import StackError
from local_stack.inventory import Service
from local_stack.layout import Layout
from local_stack.manifests import Bank
from service_runtime.keys import KeyRing
from service_runtime.sealing import key_set

NEEDED = ("gateway", "settlement", "ops", "issuer")
"""The processes that the command asks, or whose addresses it writes."""
_OPERATOR = "alice"
_WITHIN_S = 90
_ENQUIRE_AFTER_S = 60
"""A bank that was killed forgets what it holds as PENDING until it is asked."""


def add_banks(
    layout: Layout, offset: int, started: Iterable[Service], tell: Callable[[str], None]
) -> None:
    """Run `countersign partners add` for each bank that has started. Repeatable.

    Without one of the needed processes nothing is added; the next start adds it.
    """
    services = list(started)
    if not {*NEEDED} <= {one.name for one in services}:
        return
    for bank in (one.bank for one in services if one.bank):
        _add(bank, layout, offset)
        tell(f"partner bank {bank.id} is on Kafka; its contract is in {_folder(layout, bank)}")


def _add(bank: Bank, layout: Layout, offset: int) -> None:
    credentials, folder = Credentials(layout.secrets), _folder(layout, bank)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = folder / "keys.json"
    ring = KeyRing.of_file(credentials.path(bank_key_name(bank.id)))
    keys.write_text(json.dumps(key_set(ring)))
    command = [
        *(str(Path(sys.executable).with_name("countersign")), "--as", _OPERATOR),
        *("--offset", str(offset), "partners", "add", bank.id, "--format", bank.format),
        *("--partitions", str(bank.partitions), "--keys", str(keys), "--out", str(folder)),
        *("--enquire-after", str(_ENQUIRE_AFTER_S)),
        *("--password-file", str(credentials.path(principal_name(f"partner-{bank.id}")))),
        *(word for prefix in bank.prefixes for word in ("--prefix", prefix)),
    ]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=_WITHIN_S, env=_environment()
    )
    if done.returncode:
        raise StackError(f"partner bank {bank.id} was not added: {done.stderr.strip()}")


def _environment() -> dict[str, str]:
    """The environment without addresses: the bank is one of this stack."""
    others = ("KAFKA_", "PARTNER_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(others) and not name.endswith(("_URL", "_URLS"))
    }


def _folder(layout: Layout, bank: Bank) -> Path:
    return layout.root / "partners" / bank.id
