"""A service that neither signs nor verifies its records: what `bench protection` compares with.

`BENCH_MODULE=confirm python -m bench.without_macs`. It is here and not in the runtime, so that no
setting of a service turns its MACs off, and no image contains it.
"""

import os
import runpy

from service_runtime.message_macs import MessageMacs
from service_runtime.messages import ProducerRecord

MODULE = "BENCH_MODULE"


def turn_off() -> None:
    """Let this process sign no record and accept every one."""

    def unsigned(_: MessageMacs, record: ProducerRecord) -> ProducerRecord:
        return record

    MessageMacs.signed = unsigned  # type: ignore[assignment,method-assign]
    MessageMacs.verify = lambda *_: None  # type: ignore[method-assign]


if __name__ == "__main__":
    turn_off()
    runpy.run_module(os.environ[MODULE], run_name="__main__", alter_sys=True)
