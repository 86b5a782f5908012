"""The measured machine, versions and commit."""

import os
import platform
import subprocess
from pathlib import Path

from local_stack import kafka
from local_stack.layout import CHECKOUT
from service_runtime.clock import SystemClock


def description() -> list[tuple[str, str]]:
    """Return names and values for the head of the results."""
    return [
        ("machine", f"{os.cpu_count()} cores, {_processor()}, {_memory_gib():.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        ("Kafka", f"{kafka.VERSION}, 1 broker, acks=all"),
        ("PostgreSQL", f"{_output_of('psql', '--version')}, synchronous_commit=on, fsync=on"),
        ("Redis", _output_of("redis-server", "--version").split(" sha")[0]),
        ("commit", _output_of("git", "-C", str(CHECKOUT), "describe", "--always", "--dirty")),
        ("measured", SystemClock().now().strftime("%Y-%m-%d %H:%M UTC")),
        ("load before the start", f"{os.getloadavg()[2]:.1f} (15 minutes)"),
    ]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _output_of(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return done.stdout.strip() or "unknown"
