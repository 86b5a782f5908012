"""One Kafka broker on this machine, from Maven artefacts instead of a Kafka release."""

import base64
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from local_stack.errors import StackError
from local_stack.layout import CHECKOUT, Layout, cache_folder
from local_stack.ports import Ports
from local_stack.programs import Program

VERSION = "4.3.1"
_RECIPE = CHECKOUT / "deploy" / "local" / "kafka"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_DOWNLOAD_WITHIN_S = 600
_FORMAT_WITHIN_S = 60

# A killed broker may register again only when its session has run out: 9 s by default, measured.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
log.dirs={folder}
auto.create.topics.enable=false
message.max.bytes=2097152
offsets.topic.num.partitions=8
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
"""

# The link listener advertises `between`, because a client connects to the advertised address after
# its first request. Of two values for one key the last one is used.
_LINK = """listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller},LINK://127.0.0.1:{link}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker},LINK://127.0.0.1:{between}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LINK:PLAINTEXT
"""


def jars() -> Path:
    """The folder of the broker's jars, downloaded once for every checkout.

    Raises StackError where Maven is missing, the download fails, or a jar is not the one that
    jars.sha256 names.
    """
    folder = cache_folder() / f"kafka-{VERSION}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _download(folder)
    return folder


def _download(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError("mvn is missing: install the package maven, or use Docker")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        shutil.copy(_RECIPE / "pom.xml", scratch)
        draft = Path(scratch) / "jars"
        _run_maven([maven, "-q", "-B", _COPY, f"-DoutputDirectory={draft}"], Path(scratch))
        _verify(draft)
        draft.rename(folder)


def _run_maven(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(
            [*command, "-DincludeScope=runtime"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_WITHIN_S,
        )
    except subprocess.CalledProcessError as error:
        lines = "\n".join(error.stdout.splitlines()[-10:])
        raise StackError(f"Maven could not fetch Kafka {VERSION}:\n{lines}") from error
    except subprocess.TimeoutExpired as error:
        raise StackError(f"Maven took over {_DOWNLOAD_WITHIN_S} s to fetch Kafka") from error


def _verify(folder: Path) -> None:
    lines = (_RECIPE / "jars.sha256").read_text().splitlines()
    expected = {name: digest for digest, name in (line.split() for line in lines)}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.iterdir()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise StackError(f"{name} is not the jar that jars.sha256 names: nothing was installed")


def prepare(layout: Layout, ports: Ports, between: int | None = None) -> Program:
    """Write the broker's settings, format its folder once, and return its process.

    `between` is the port of a proxy between the broker's link listener and its clients.
    """
    java = shutil.which("java")
    if java is None:
        raise StackError("java is missing: install openjdk-17-jre-headless, or use Docker")
    settings = layout.kafka / "server.properties"
    template = _PROPERTIES if between is None else _PROPERTIES + _LINK
    settings.write_text(
        template.format(
            broker=ports.kafka,
            controller=ports.kafka_controller,
            link=ports.kafka_link,
            between=between,
            folder=layout.kafka / "log",
        )
    )
    run = (java, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{jars()}/*")
    if not (layout.kafka / "log" / "meta.properties").exists():
        _format(run, settings)
    heap = ("-Xms512m", "-Xmx512m", "-XX:+UseG1GC")
    command = (run[0], *heap, *run[1:], "kafka.Kafka", str(settings))
    return Program("kafka", command, layout.kafka, stop_within_s=25)


def _format(run: tuple[str, ...], settings: Path) -> None:
    # A UUID in Kafka's encoding. Its first bit is 0: a leading "-" would be read as an option.
    drawn = os.urandom(16)
    cluster = base64.urlsafe_b64encode(bytes([drawn[0] & 0x7F]) + drawn[1:]).decode().rstrip("=")
    tool = ("kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted")
    done = subprocess.run(
        [*run, *tool, "-t", cluster, "-c", str(settings)],
        check=False,
        capture_output=True,
        text=True,
        timeout=_FORMAT_WITHIN_S,
    )
    if done.returncode != 0:
        raise StackError(f"Kafka could not format its folder: {(done.stdout + done.stderr)[-500:]}")
