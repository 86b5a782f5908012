"""One or three Kafka brokers on this machine, from Maven artefacts instead of a Kafka release."""

import base64
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from local_stack.certificates import AUTHORITY, certificate_name
from local_stack.credentials import KAFKA_FORMAT, KAFKA_LOGIN, Credentials
from local_stack.errors import StackError
from local_stack.layout import CHECKOUT, Layout, cache_folder
from local_stack.ports import Ports
from local_stack.programs import Program
from local_stack.settings import user_settings

VERSION = "4.3.1"
_RECIPE = CHECKOUT / "deploy" / "local" / "kafka"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_DOWNLOAD_WITHIN_S = 600
_FORMAT_WITHIN_S = 60
META = "meta.properties"
_HEAP = {
    1: ("-Xms512m", "-Xmx512m", "-XX:+UseG1GC"),
    3: ("-Xms320m", "-Xmx320m", "-XX:+UseG1GC"),
}
"""By the number of brokers."""
BROKERS = "KAFKA_BROKERS"

# A killed broker may register again only when its session has run out: 9 s by default, measured.
_PROPERTIES = """\
process.roles=broker,controller
node.id={node}
listeners=INTERNAL://127.0.0.1:{broker},PARTNERS://127.0.0.1:{partners},CONTROLLER://127.0.0.1:{controller}{link}
advertised.listeners=INTERNAL://127.0.0.1:{broker},PARTNERS://127.0.0.1:{partners}{advertised_link}
listener.security.protocol.map=INTERNAL:{protocol},PARTNERS:SASL_SSL,CONTROLLER:{protocol},LINK:{link_protocol}
inter.broker.listener.name=INTERNAL
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker;User:admin{more_super_users}
ssl.keystore.type=PEM
ssl.keystore.location={certificate}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
{quorum}
log.dirs={folder}
auto.create.topics.enable=false
message.max.bytes=2097152
offsets.topic.num.partitions=8
offsets.topic.replication.factor={copies}
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={least}
share.coordinator.state.topic.num.partitions=2
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={least}
min.insync.replicas={least}
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The number of brokers, and how they listen.

    `between` is the port of a proxy between the first broker's link listener and its clients. With
    `is_open` that listener asks for no login, and no right is looked up for its clients: what the
    benchmark compares with. Only code can set it, no setting.
    """

    brokers: int = 1
    between: int | None = None
    tls: bool = False
    is_open: bool = False


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


def prepare(
    layout: Layout, ports: Ports, credentials: Credentials, cluster: Cluster
) -> list[Program]:
    """Write the brokers' settings, format their folders once, and return their processes."""
    java = shutil.which("java")
    if java is None:
        raise StackError("java is missing: install openjdk-17-jre-headless, or use Docker")
    run = (java, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{jars()}/*")
    # The file names the tool and the first users: a process list shows no password.
    tool: tuple[str, ...] = (
        *run,
        f"@{credentials.path(KAFKA_FORMAT)}",
        "-t",
        _cluster_of(layout) or _new_cluster(),
    )
    tool += ("--standalone",) if cluster.brokers == 1 else ()
    login = f"-Djava.security.auth.login.config={credentials.path(KAFKA_LOGIN)}"
    programs = []
    for broker in range(cluster.brokers):
        settings = folder_of(layout, broker).with_suffix(".properties")
        values = _values(layout, ports, cluster.brokers, broker) | _listening(
            ports, cluster, broker
        )
        values |= {"certificate": credentials.path(certificate_name("kafka"))}
        values |= {"authority": credentials.path(AUTHORITY)}
        settings.write_text(_PROPERTIES.format(**values))
        if not (folder_of(layout, broker) / META).exists():
            _format((*tool, "-c", str(settings)))
        command = (java, *_HEAP[cluster.brokers], login, *run[1:], "kafka.Kafka", str(settings))
        programs.append(Program(name_of(broker), command, layout.kafka, stop_within_s=25))
    return programs


def name_of(broker: int) -> str:
    """The name of a broker's process: `kafka`, `kafka-1`."""
    return f"kafka-{broker}" if broker else "kafka"


def folder_of(layout: Layout, broker: int) -> Path:
    """The folder of a broker's records."""
    return layout.kafka / (f"log-{broker}" if broker else "log")


def formatted(layout: Layout) -> int:
    """The number of brokers that the data folder was made for; 0 before the first start."""
    return sum((folder_of(layout, broker) / META).exists() for broker in range(max(_HEAP)))


def wanted_brokers() -> int | None:
    """The number in KAFKA_BROKERS. Raises StackError unless it is 1 or 3."""
    text = user_settings([BROKERS]).get(BROKERS)
    if text and text not in map(str, _HEAP):
        raise StackError(f"{BROKERS} must be 1 or 3, not {text!r}")
    return int(text) if text else None


def require_count(found: int, wanted: int | None) -> None:
    """Raise StackError where the data folder has another number of brokers than is wanted."""
    if wanted not in (None, found):
        what = f"{BROKERS} is {wanted}, but the data folder was made for {found}"
        raise StackError(f"{what}: remove it with `make reset`")


def _values(layout: Layout, ports: Ports, brokers: int, broker: int) -> dict[str, object]:
    """The values of one broker's settings."""
    voters = [f"{n + 1}@127.0.0.1:{ports.kafka_controller_of(n)}" for n in range(brokers)]
    return {
        "node": broker + 1,
        "broker": ports.kafka_of(broker),
        "partners": ports.kafka_partners_of(broker),
        "controller": ports.kafka_controller_of(broker),
        "folder": folder_of(layout, broker),
        "quorum": f"controller.quorum.bootstrap.servers=127.0.0.1:{ports.kafka_controller}"
        if brokers == 1
        else f"controller.quorum.voters={','.join(voters)}",
        "copies": brokers,
        "least": (brokers + 1) // 2,
    }


def _listening(ports: Ports, cluster: Cluster, broker: int) -> dict[str, object]:
    """The values by which a broker listens.

    The link listener advertises the proxy, because a client connects to the advertised address
    after its first request.
    """
    advertised = ports.kafka_link if cluster.is_open else cluster.between
    has_link = advertised is not None and broker == 0
    protocol = "SASL_SSL" if cluster.tls else "SASL_PLAINTEXT"
    return {
        "protocol": protocol,
        "link_protocol": "PLAINTEXT" if cluster.is_open else protocol,
        "more_super_users": ";User:ANONYMOUS" if cluster.is_open else "",
        "link": f",LINK://127.0.0.1:{ports.kafka_link}" if has_link else "",
        "advertised_link": f",LINK://127.0.0.1:{advertised}" if has_link else "",
    }


def _cluster_of(layout: Layout) -> str | None:
    """The cluster that a formatted folder belongs to."""
    for meta in layout.kafka.glob(f"log*/{META}"):
        for line in meta.read_text().splitlines():
            if line.startswith("cluster.id="):
                return line.partition("=")[2]
    return None


def _new_cluster() -> str:
    # A UUID in Kafka's encoding. Its first bit is 0: a leading "-" would be read as an option.
    drawn = os.urandom(16)
    return base64.urlsafe_b64encode(bytes([drawn[0] & 0x7F]) + drawn[1:]).decode().rstrip("=")


def _format(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=_FORMAT_WITHIN_S,
    )
    if done.returncode != 0:
        # Its standard output contains verifiers of passwords.
        raise StackError(f"Kafka could not format its folder: {done.stderr[-500:]}")
