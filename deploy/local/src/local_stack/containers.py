"""The stack under a Docker engine: docker-compose.yml, driven with the same commands."""

import os
import shutil
import subprocess
from collections.abc import Sequence

from local_stack import discovery, readiness
from local_stack.credentials import Credentials
from local_stack.discovery import RunningStack
from local_stack.errors import StackError
from local_stack.inventory import Inventory, load_inventory
from local_stack.layout import CHECKOUT, Layout, default_data_folder

_READY_WITHIN_S = 180
_COMMAND_WITHIN_S = 1800


class ComposeStack:
    """The containers of docker-compose.yml, at the ports of the inventory."""

    def __init__(self) -> None:
        self.inventory: Inventory = load_inventory()
        self.layout = Layout(default_data_folder(0))
        self._credentials = Credentials(self.layout.secrets)

    def up(self, services: Sequence[str] = ()) -> None:
        """Build and start the containers and wait until they are healthy."""
        for name in services:
            self.inventory.service(name)
        self.layout.make()
        self._credentials.make(self.inventory)
        self._compose("up", "--detach", "--build", *services)
        stack = self.description()
        discovery.describe(self.layout, stack)
        names = services or stack.urls
        urls = {name: stack.url(name) for name in names}
        readiness.wait_for_all(urls, self.layout.logs, print, seconds=_READY_WITHIN_S)

    def down(self) -> None:
        """Stop and remove the containers; volumes stay."""
        self._compose("down", "--remove-orphans")
        discovery.forget(self.layout)

    def reset(self) -> None:
        """Remove containers, volumes and secrets."""
        self._compose("down", "--remove-orphans", "--volumes")
        shutil.rmtree(self.layout.root, ignore_errors=True)

    def restart(self, services: Sequence[str]) -> None:
        """Build the images again and replace the containers of these services (of all)."""
        self._compose("up", "--detach", "--build", "--force-recreate", *services)

    def status(self) -> None:
        self._compose("ps", "--all")

    def logs(self, services: Sequence[str], *, follow: bool) -> None:
        self._compose("logs", "--tail", "100", *(("--follow",) if follow else ()), *services)

    def description(self) -> RunningStack:
        """The addresses that docker-compose.yml publishes on this machine."""
        ports = self.inventory.ports
        return RunningStack(
            kind="compose",
            kafka=f"127.0.0.1:{ports['kafka']}",
            postgres=f"127.0.0.1:{ports['postgres']}",
            redis_url=f"redis://127.0.0.1:{ports['redis']}/0",
            secrets_folder=str(self.layout.secrets),
            urls={
                one.name: (f"http://127.0.0.1:{one.port}",)
                for one in self.inventory.services.values()
            },
        )

    def _compose(self, *arguments: str) -> None:
        settings = os.environ | {"SECRETS_FOLDER": str(self.layout.secrets)}
        done = subprocess.run(
            ["docker", "compose", *arguments],
            check=False,
            cwd=CHECKOUT,
            env=settings,
            timeout=None if "--follow" in arguments else _COMMAND_WITHIN_S,
        )
        if done.returncode != 0:
            raise StackError(f"docker compose {arguments[0]} failed")
