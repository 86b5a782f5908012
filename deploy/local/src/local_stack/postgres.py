"""A private PostgreSQL cluster on this machine, with the durability of production."""

import os
import pwd
import shutil
import subprocess
from functools import partial
from pathlib import Path

from local_stack.certificates import certificate_name
from local_stack.credentials import ADMIN_PASSWORD, POSTGRES_HBA, Credentials
from local_stack.errors import StackError
from local_stack.layout import Layout, is_root
from local_stack.programs import Program

VERSION = 15
USER = "postgres"
ADMIN = "postgres"
_INITDB_WITHIN_S = 120
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "512MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def prepare(layout: Layout, port: int, credentials: Credentials, *, tls: bool) -> Program:
    """Make the cluster once and return the server's process.

    Raises StackError where PostgreSQL is not installed or its user cannot reach the folder.
    """
    binaries = _binaries()
    cluster = layout.postgres / "cluster"
    _make_folder(layout.postgres)
    if not cluster.exists():
        _initialise(binaries, cluster, credentials.read(ADMIN_PASSWORD))
    certificate, rules = layout.postgres / "server.pem", layout.postgres / "pg_hba.conf"
    _write_own(certificate, credentials.read(certificate_name("postgres")))
    _write_own(rules, credentials.read(POSTGRES_HBA))
    settings = _SETTINGS | {"port": str(port), "hba_file": str(rules)}
    if tls:
        file = str(certificate)
        settings |= {"ssl": "on", "ssl_cert_file": file, "ssl_key_file": file}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    # SIGINT is a fast shutdown: it ends sessions, rolls transactions back and loses nothing.
    return Program(
        "postgres",
        (str(binaries / "postgres"), "-D", str(cluster), *options),
        layout.postgres,
        user=_user(),
        stop_signal="INT",
        stop_within_s=25,
    )


def postmaster(layout: Layout) -> int | None:
    """The process id that the cluster's own pid file names, if there is one."""
    try:
        return int((layout.postgres / "cluster" / "postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, IndexError):
        return None


def _user() -> str | None:
    return USER if is_root() else None


def _binaries() -> Path:
    """The folder of the server's programs: this major version first, then any newer one."""
    packaged = Path("/usr/lib/postgresql")
    versions = [path for path in packaged.glob("*") if path.name.isdigit()]
    usable = [path for path in versions if int(path.name) >= VERSION]
    for path in sorted(usable, key=lambda found: int(found.name)):
        if (path / "bin" / "initdb").exists():
            return path / "bin"
    on_path = shutil.which("initdb")
    if on_path is None:
        raise StackError("PostgreSQL is missing: install the package postgresql, or use Docker")
    return Path(on_path).resolve().parent


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not is_root():
        return
    try:
        identity = pwd.getpwnam(USER)
    except KeyError:
        raise StackError(f"the user {USER} is missing: install the package postgresql") from None
    os.chown(folder, identity.pw_uid, identity.pw_gid)
    reach = subprocess.run(["test", "-w", folder], check=False, user=USER, extra_groups=[], cwd="/")
    if reach.returncode != 0:
        raise StackError(f"the user {USER} cannot enter {folder}: choose a folder open to others")


def _write_own(file: Path, text: str) -> None:
    """Write a file that the server's user alone may read, which the server requires of a key."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    if is_root():
        shutil.chown(file, USER)
    file.write_text(text + "\n")


def _initialise(binaries: Path, cluster: Path, password: str) -> None:
    """Run initdb into a draft folder and rename it, so that no partial cluster is used."""
    draft = cluster.with_name("draft")
    shutil.rmtree(draft, ignore_errors=True)
    password_file = cluster.with_name("password")
    _write_own(password_file, password)
    try:
        _run_initdb(binaries, draft, password_file)
    finally:
        password_file.unlink()
    draft.rename(cluster)


def _run_initdb(binaries: Path, folder: Path, password_file: Path) -> None:
    run = partial(subprocess.run, check=False, capture_output=True, text=True, cwd="/")
    if is_root():
        run = partial(run, user=USER, group=USER, extra_groups=[])
    done = run(
        [
            *(str(binaries / "initdb"), "-D", str(folder)),
            *("--username", ADMIN, "--pwfile", str(password_file), "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"),
        ],
        timeout=_INITDB_WITHIN_S,
    )
    if done.returncode != 0:
        raise StackError(f"initdb failed: {(done.stdout + done.stderr)[-500:]}")
