"""The commands of the local stack, such as `python -m local_stack up`; see `make help`."""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from local_stack import databases, kafka, new_service, passwords, status
from local_stack.containers import ComposeStack
from local_stack.credentials import Credentials
from local_stack.engine import chosen_kind
from local_stack.errors import StackError
from local_stack.generation import generated_files, write
from local_stack.inventory import CORE, load_inventory
from local_stack.layout import Layout, default_data_folder
from local_stack.locks import lock_group, lock_training
from local_stack.preparation import prepare_broker, prepare_database
from local_stack.readiness import last_lines
from local_stack.rights import ADMIN
from local_stack.settings import transport_is_tls
from local_stack.stack import Stack
from local_stack.telemetry import observation
from local_stack.telemetry.programs import programs
from local_stack.waiting import elapsed_since, now_s

_LOG_LINES = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, or 1 with a sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="local_stack", description=__doc__)
    parser.add_argument("--offset", type=int, default=0, help="added to every port (0)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], text: str) -> None:
        added = commands.add_parser(name, help=text)
        added.set_defaults(run=run)
        if name in {"up", "restart", "logs"}:
            added.add_argument("services", nargs="*", help="only these")
        if name == "up":
            added.add_argument("--groups", default="", help="those of these groups; all: of every")
        if name == "logs":
            added.add_argument("--follow", action="store_true", help="print new lines, too")
        if name == "new-service":
            for field in ("name", "group", "kind"):
                added.add_argument(f"--{field}", required=True)
            added.add_argument("--port", default="", help="the first that is free")
        if name == "rotate":
            added.add_argument(
                "principal",
                help="confirm, monitor or admin: at Kafka; database-confirm; redis-gateway",
            )
        if name == "prepare":
            added.add_argument("--kafka", required=True, help="host:port")
            added.add_argument("--postgres", required=True, help="host:port")
            added.add_argument("--secrets", required=True, type=Path, help="folder")

    command("setup", _setup, "download the native stack's files and make secrets")
    command("up", _up, "start the core, groups, or the services named, and wait for them")
    command("infra-up", _infra_up, "start Kafka, PostgreSQL and Redis only")
    command("restart", _restart, "stop and start services, for example after a change of code")
    command("down", _down, "stop what `up` started")
    command("status", _status, "list the processes")
    command("logs", _logs, "show the end of the logs")
    command("reset", _reset, "stop, and remove all state")
    command("secrets", _secrets, "make missing secrets and print their folder")
    command("observe", _observe, "start collector, Jaeger, Prometheus and their pages")
    command("observe-tools", _observe_tools, "build the programs of `observe`, start none")
    command("observe-down", _observe_down, "stop what `observe` started")
    command("generate", _generate, "write the files that follow from the manifests")
    command("lock", _lock, "lock the packages of each group that are not in requirements.lock")
    command("new-service", _new_service, "write a service from deploy/templates")
    command("images", _images, "build every image with the Docker engine")
    command("rotate", _rotate, "give a process a new password at Kafka, PostgreSQL or Redis")
    command("prepare", _prepare, "make topics, roles, schemas and tables (Compose's first job)")
    return parser


def _native(options: argparse.Namespace) -> Stack:
    start_s = now_s()
    return Stack(
        options.offset,
        tell=lambda line: print(f"{elapsed_since(start_s):5.1f} s  {line}", flush=True),
    )


def _compose(options: argparse.Namespace) -> ComposeStack | None:
    """The Compose stack, or None for the native one, which alone can listen at other ports."""
    if options.offset or chosen_kind() == "native":
        return None
    return ComposeStack()


def _setup(options: argparse.Namespace) -> None:
    if _compose(options) is None:
        kafka.jars()
    _secrets(options)


def _up(options: argparse.Namespace) -> None:
    names = _named(options)
    if compose := _compose(options):
        compose.up(names)
        return
    stack = _native(options)
    stack.start_infrastructure()
    stack.start_services(names)
    # A new group changes the settings of services that already run, such as ADMIN_URLS of ops.
    stack.refresh()
    print(f"ready; secrets are in {stack.credentials.folder}")


def _named(options: argparse.Namespace) -> list[str]:
    """The named services, or those of the named groups, or the core."""
    inventory = load_inventory()
    if options.services:
        return [inventory.service(name).name for name in options.services]
    return [one.name for one in inventory.of_groups(options.groups.split() or [CORE])]


def _restart(options: argparse.Namespace) -> None:
    if compose := _compose(options):
        compose.restart(options.services)
        return
    stack = _native(options)
    stack.restart(options.services or stack.instances)


def _infra_up(options: argparse.Namespace) -> None:
    _native(options).start_infrastructure()


def _down(options: argparse.Namespace) -> None:
    if compose := _compose(options):
        compose.down()
    else:
        _native(options).stop()


def _reset(options: argparse.Namespace) -> None:
    if compose := _compose(options):
        compose.reset()
    else:
        _native(options).reset()


def _status(options: argparse.Namespace) -> None:
    compose = _compose(options)
    rows = compose.status() if compose else _native(options).states().values()
    if not rows:
        raise StackError("nothing runs: start it with `make up`")
    print(*status.lines(rows, load_inventory()), sep="\n")


def _logs(options: argparse.Namespace) -> None:
    if compose := _compose(options):
        compose.logs(options.services, follow=options.follow)
        return
    folder = Layout(default_data_folder(options.offset)).logs
    names = options.services or _logged(folder).split(", ")
    if options.follow:
        files = [str(folder / f"{name}.log") for name in names]
        subprocess.run(["tail", "-n", str(_LOG_LINES), "-F", *files], check=False)
        return
    for name in names:
        if not (folder / f"{name}.log").exists():
            raise StackError(f"{name} has no log; there are: {_logged(folder)}")
        print(f"== {name}\n{last_lines(folder / f'{name}.log', _LOG_LINES)}")


def _logged(folder: Path) -> str:
    return ", ".join(sorted(log.stem for log in folder.glob("*.log"))) or "none yet"


def _secrets(options: argparse.Namespace) -> None:
    credentials = Credentials(Layout(default_data_folder(options.offset)).secrets)
    credentials.make(load_inventory())
    print(f"secrets are in {credentials.folder}")


def _observe(options: argparse.Namespace) -> None:
    if _compose(options):
        print("`make up` has started it in containers: dashboards at http://127.0.0.1:3001")
        return
    stack = _native(options)
    processes = observation.observe(stack, stack.tell)
    for what, address in observation.addresses(processes).items():
        print(f"{what:14} {address}")


def _observe_tools(options: argparse.Namespace) -> None:
    programs(_native(options).tell)


def _observe_down(options: argparse.Namespace) -> None:
    if _compose(options):
        raise StackError("the containers stop with `make down`")
    observation.stop_observing(_native(options))


def _generate(_: argparse.Namespace) -> None:
    write(generated_files())


def _lock(_: argparse.Namespace) -> None:
    inventory = load_inventory()
    for group in inventory.groups:
        for file in lock_group(inventory, group) if group != CORE else ():
            print(f"wrote {file}")
    print(f"wrote {lock_training(inventory)}")


def _new_service(options: argparse.Namespace) -> None:
    fields = (options.name, options.group, options.kind)
    service = new_service.checked(fields, options.port, load_inventory())
    for path in new_service.write(service):
        print(f"wrote {path}")


def _images(options: argparse.Namespace) -> None:
    if (compose := _compose(options)) is None:
        raise StackError("images are built by a Docker engine: start one, or install Docker")
    compose.build()


def _rotate(options: argparse.Namespace) -> None:
    compose, user = _compose(options), options.principal
    stack = compose or _native(options)
    whose = passwords.rotate(stack.description(), user)
    # The list of users that Redis reads when it starts follows.
    stack.description().credentials.make(stack.inventory)
    # A container keeps the file that was mounted at its start; other processes read the new one.
    if compose and whose in stack.inventory.services:
        compose.restart([whose])


def _prepare(options: argparse.Namespace) -> None:
    inventory, credentials = load_inventory(), Credentials(options.secrets)
    prepare_database(options.postgres, credentials, inventory, print)
    databases.migrate(options.postgres, credentials, inventory.with_database, print)
    brokers = credentials.brokers(options.kafka, ADMIN, tls=transport_is_tls())
    prepare_broker(brokers, credentials, inventory, print)


if __name__ == "__main__":
    sys.exit(main())
