"""Starts programs again that supervisord has given up on.

Runs as supervisord's event listener, `python -m local_stack.restarter`.
"""

import os
import sys
import xmlrpc.client
from pathlib import Path

from supervisor import childutils

from local_stack.layout import Layout
from local_stack.supervision import MARK, Supervisor


def main() -> None:
    """Start the process that each event names."""
    supervisor = Supervisor(Layout(Path(os.environ[MARK])))
    while True:
        _, payload = childutils.listener.wait(sys.stdin, sys.stdout)
        try:
            supervisor.resume(childutils.get_headers(payload)["processname"])
        except xmlrpc.client.Fault as refusal:  # it is ending, or the program was removed
            print(refusal, file=sys.stderr)
        childutils.listener.ok(sys.stdout)


if __name__ == "__main__":
    main()
