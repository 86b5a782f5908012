"""One supervisord per stack: it starts, restarts and stops all processes and writes their logs."""

import http.client
import os
import re
import socket
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from local_stack.errors import StackError
from local_stack.layout import Layout, is_root
from local_stack.programs import Program
from local_stack.waiting import wait_until

MARK = "COUNTERSIGN_STACK"
_START_WITHIN_S = 15
_CALL_WITHIN_S = 10
_INHERITED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "JAVA_HOME")
_RESTARTER = "restarter"
_STOPPED = {"STOPPED", "EXITED", "FATAL"}
_WAIT = False  # the last argument of startProcess and stopProcess: we wait for many at once

_COMMENT = re.compile(r"\s[;#]")

_MAIN = """\
[supervisord]
logfile={folder}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile={folder}/supervisord.pid
childlogdir={folder}
directory={folder}
minfds=4096
{user}
[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[eventlistener:restarter]
command={python} -m local_stack.restarter
events=PROCESS_STATE_FATAL
autorestart=true
stopwaitsecs=2
stdout_logfile=NONE
stderr_logfile={logs}/restarter.log
stderr_logfile_maxbytes=1MB
stderr_logfile_backups=1

[include]
files={folder}/programs/*.conf
"""

# startretries is small on purpose: each retry waits a second longer than the last one. The
# restarter resets the count, so that a crashing process is started every few seconds indefinitely.
_PROGRAM = """\
[program:{name}]
command={command}
directory={folder}
environment={environment}
{user}
autostart=true
autorestart=true
startsecs=1
startretries=3
stopsignal={signal}
stopwaitsecs={stop_s}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile={logs}/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


def _without_preemption() -> None:
    """Let no process of the stack interrupt another one when it wakes up.

    They share a few cores: one that is interrupted for each record leaves the others small batches.
    """
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


class _Connection(http.client.HTTPConnection):
    """HTTP over the supervisor's Unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_CALL_WITHIN_S)
        self.sock.connect(self.host)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> _Connection:
        # The base class closes the connection in this attribute.
        self._connection = host, _Connection(str(self._path))
        return self._connection[1]


class Supervisor:
    """The supervisor of one data folder, running or not."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._programs = layout.supervisor / "programs"

    @property
    def pid(self) -> int | None:
        """Its process id, if it responds."""
        try:
            return int(self._call("getPID"))
        except (OSError, xmlrpc.client.Fault):
            return None

    def start(self) -> None:
        """Start it without programs; do nothing if it runs."""
        if self.pid is not None:
            return
        self._layout.supervisor_socket.unlink(missing_ok=True)
        self._programs.mkdir(parents=True, exist_ok=True)
        for stale in self._programs.glob("*.conf"):
            stale.unlink()
        settings = self._layout.supervisor / "supervisord.conf"
        settings.write_text(self._main())
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(settings)]
        subprocess.run(
            command,
            check=True,
            env=self._environment(),
            cwd="/",
            timeout=_START_WITHIN_S,
            preexec_fn=_without_preemption,
        )
        wait_until(
            lambda: self.pid is not None,
            seconds=_START_WITHIN_S,
            otherwise=f"the supervisor did not start: see {self._layout.supervisor}",
        )

    def apply(self, programs: Iterable[Program], *, resumes: bool = False) -> None:
        """Start these programs; replace those whose settings have changed.

        `resumes`: also start those that `stop` has stopped.
        """
        programs = list(programs)
        for program in programs:
            (self._programs / f"{program.name}.conf").write_text(self._section(program))
        added, changed, _ = self._call("reloadConfig")[0]
        self.stop(changed)
        for name in changed:
            self._call("removeProcessGroup", name)
        for name in (*added, *changed):
            self._call("addProcessGroup", name)
        for program in programs if resumes else ():
            self.resume(program.name)

    def remove(self, names: Iterable[str]) -> None:
        """Stop programs and forget them; an interrupted command may have removed some before."""
        names = list(names)
        self.stop(names)
        known = self._all()
        for name in names:
            (self._programs / f"{name}.conf").unlink(missing_ok=True)
            if name in known:
                self._call("removeProcessGroup", name)

    def processes(self) -> dict[str, Mapping[str, Any]]:
        """Information on each program, by name; empty if it does not run."""
        return {name: one for name, one in self._all().items() if name != _RESTARTER}

    def stop(self, names: Iterable[str], *, within_s: float = 40) -> None:
        """Stop programs at once, each with its own signal, and wait until they have ended."""
        names = [name for name in names if self._state(name) not in _STOPPED]
        for name in names:
            self._call("stopProcess", name, _WAIT)
        wait_until(
            lambda: all(self._state(name) in _STOPPED for name in names),
            seconds=within_s,
            otherwise=f"could not stop {', '.join(names)}",
        )

    def resume(self, name: str) -> None:
        """Start a program that `stop` has stopped."""
        if self._state(name) in _STOPPED:
            self._call("startProcess", name, _WAIT)

    def shut_down(self, *, within_s: float = 60) -> None:
        """End the supervisor and its programs."""
        if self.pid is not None:
            # Otherwise its end takes a second for each program.
            self.remove([_RESTARTER])
            self.remove(self.processes())
            self._call("shutdown")
            wait_until(
                lambda: not self._layout.supervisor_socket.exists(),
                seconds=within_s,
                otherwise="the supervisor did not stop",
            )
        self._layout.supervisor_socket.unlink(missing_ok=True)

    def _call(self, method: str, *arguments: object) -> Any:
        transport = _Transport(self._layout.supervisor_socket)
        with xmlrpc.client.ServerProxy("http://supervisor", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)

    def _all(self) -> dict[str, Mapping[str, Any]]:
        try:
            found = self._call("getAllProcessInfo")
        except (OSError, xmlrpc.client.Fault):  # it does not run, or is ending
            return {}
        return {one["name"]: one for one in found}

    def _state(self, name: str) -> str:
        return str(self._all().get(name, {"statename": "STOPPED"})["statename"])

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return inherited | {"PYTHONUNBUFFERED": "1", MARK: str(self._layout.root)}

    def _main(self) -> str:
        return _MAIN.format(
            folder=self._layout.supervisor,
            socket=self._layout.supervisor_socket,
            logs=self._layout.logs,
            python=sys.executable,
            user="user=root\n" if is_root() else "",
        )

    def _section(self, program: Program) -> str:
        return _PROGRAM.format(
            name=program.name,
            command=" ".join(_quoted(part) for part in program.command),
            folder=program.folder,
            environment=",".join(f"{k}={_quoted(v)}" for k, v in program.environment.items()),
            user=f"user={program.user}" if program.user else "",
            signal=program.stop_signal,
            stop_s=program.stop_within_s,
            logs=self._layout.logs,
        )


def _quoted(text: str) -> str:
    """Quote a value for supervisord's settings, which take it literally between single quotes.

    Raises StackError on a quote, a line break or the start of a comment.
    """
    if "'" in text or "\n" in text or _COMMENT.search(text):
        raise StackError(f"a setting may hold no quote, line break or comment: {text!r}")
    return f"'{text}'".replace("%", "%%")
