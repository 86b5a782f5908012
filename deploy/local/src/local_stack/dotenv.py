""".env.example: every setting of every process, with its meaning."""

import textwrap

from local_stack.environment import Environments, Place
from local_stack.inventory import Inventory
from local_stack.layout import CHECKOUT

DOTENV_FILE = CHECKOUT / ".env.example"
_HEADER = """\
# Every setting, made by `make generate` from services/*/service.toml and deploy/stack.yaml.
# Copy a line of the first part to .env, without its #, to change it for `make up` and for Compose.
"""
_SECOND = """
# Set by the stack for each process; an operator who starts a process by hand sets them.
# In brackets: the processes that read it.
"""


def dotenv_text(inventory: Inventory) -> str:
    """The whole file: settings that a user may change, then those that the stack sets."""
    options = {*inventory.options} | {
        name for service in inventory.services.values() for name in service.options
    }
    changeable = [_entry(inventory, name) for name in inventory.meanings if name in options]
    others = [_entry(inventory, name) for name in inventory.meanings if name not in options]
    return _HEADER + "\n".join(changeable) + _SECOND + "\n".join(others)


def _entry(inventory: Inventory, name: str) -> str:
    comment = textwrap.wrap(f"{inventory.meanings[name]} [{inventory.readers_of(name)}]", 96)
    lines = [f"# {line}" for line in comment]
    return "\n".join([*lines, f"#{name}={_example(inventory, name)}"]) + "\n"


def _example(inventory: Inventory, name: str) -> str:
    """The value in the first process that reads it; empty for an option without a default.

    A copied line must also hold in a container, so an address of this machine is left out.
    """
    services = inventory.services.values()
    first = next((one.name for one in services if name in one.environment), None)
    if first is None:
        return ""
    template = inventory.services[first].environment[name]
    if name in inventory.options and "{" in template:
        return ""
    return Environments(inventory, _local_place(inventory)).of(first)[name]


def _local_place(inventory: Inventory) -> Place:
    return Place(
        kafka=f"127.0.0.1:{inventory.ports['kafka']}",
        postgres=f"127.0.0.1:{inventory.ports['postgres']}",
        redis=f"127.0.0.1:{inventory.ports['redis']}",
        collector=f"127.0.0.1:{inventory.ports['collector_otlp']}",
        host="127.0.0.1",
        at=lambda _, port, __: f"127.0.0.1:{port}",
        secret=lambda name: f"/run/secrets/{name}",
        state=lambda name: f"/var/lib/countersign/{name}",
        clients="clients",
    )
