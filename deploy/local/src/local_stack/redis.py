"""Redis on this machine. It holds counters and caches alone, so it writes nothing to disk."""

import shutil

from local_stack.certificates import AUTHORITY, certificate_name
from local_stack.credentials import REDIS_USERS, Credentials
from local_stack.errors import StackError
from local_stack.layout import Layout
from local_stack.programs import Program


def program(layout: Layout, port: int, credentials: Credentials, *, tls: bool) -> Program:
    """The server as a supervised process. Raises StackError where it is not installed."""
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    if server is None:
        raise StackError("redis-server is missing: install the package redis-server, or use Docker")
    options = {
        "bind": "127.0.0.1",
        "port": "0" if tls else str(port),
        "aclfile": str(credentials.path(REDIS_USERS)),
        "dir": str(layout.redis),
        "save": "",
        "appendonly": "no",
        # A process title would overwrite the environment, by which a stack finds its processes.
        "set-proc-title": "no",
        "maxmemory": "256mb",
        "maxmemory-policy": "volatile-lru",
    }
    if tls:
        certificate = str(credentials.path(certificate_name("redis")))
        options |= {
            "tls-port": str(port),
            "tls-cert-file": certificate,
            "tls-key-file": certificate,
            "tls-ca-cert-file": str(credentials.path(AUTHORITY)),
            "tls-auth-clients": "no",
        }
    command = [server] + [part for name, value in options.items() for part in (f"--{name}", value)]
    return Program("redis", tuple(command), layout.redis)
