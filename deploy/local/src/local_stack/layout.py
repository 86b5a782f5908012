"""Where a stack keeps its files: outside the checkout, one folder per checkout and port offset."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import StackError

# An image contains this package without the checkout, and sets this variable.
CHECKOUT = Path(os.environ.get("COUNTERSIGN_CHECKOUT") or Path(__file__).resolve().parents[4])

# sockaddr_un.sun_path holds 108 bytes on Linux, the closing zero included.
_LONGEST_SOCKET_PATH = 107


def is_root() -> bool:
    """Whether this process may act as other users."""
    return os.geteuid() == 0


def default_data_folder(offset: int) -> Path:
    """The data folder of this checkout's stack at a port offset."""
    return data_home(CHECKOUT) / f"ports+{offset}"


def data_home(checkout: Path) -> Path:
    """The folder of all data folders of a checkout."""
    return _data_root() / hashlib.sha256(str(checkout).encode()).hexdigest()[:16]


def cache_folder() -> Path:
    """Where downloads are kept that every checkout can share."""
    if is_root():
        return Path("/var/cache/countersign")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "countersign"


def _data_root() -> Path:
    # PostgreSQL refuses to run as root and its own user cannot enter root's home.
    if is_root():
        return Path("/var/lib/countersign")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "countersign"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and files inside one data folder."""

    root: Path

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def kafka(self) -> Path:
        return self.root / "kafka"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def supervisor(self) -> Path:
        return self.root / "supervisor"

    @property
    def supervisor_socket(self) -> Path:
        return self.supervisor / "rpc.sock"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def description(self) -> Path:
        """The file that `local_stack.discovery` reads."""
        return self.root / "stack.json"

    def state_of(self, service: str) -> Path:
        return self.root / "state" / service

    def make(self) -> None:
        """Make the folders. Raises StackError where the path is too long for a socket."""
        if len(str(self.supervisor_socket)) > _LONGEST_SOCKET_PATH:
            raise StackError(f"data folder {self.root} is too long a path for a Unix socket")
        for folder in (self.logs, self.kafka, self.redis, self.supervisor):
            folder.mkdir(parents=True, exist_ok=True)
