"""The observability programs and their sources."""

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import StackError
from local_stack.layout import CHECKOUT
from local_stack.telemetry import building
from local_stack.telemetry.building import Source, Tell, alone, build, built_folder

_BUILDER_FILE = CHECKOUT / "deploy" / "observability" / "otelcol-builder.yaml"
_BUILDER = Source("builder", "go.opentelemetry.io/collector/cmd/builder", "v0.159.0", ".")
_PROMETHEUS = ("github.com/prometheus/prometheus", "v0.314.0")
PROMETHEUS = Source("prometheus", *_PROMETHEUS, "./cmd/prometheus", "remove_all_sd")
PROMTOOL = Source("promtool", *_PROMETHEUS, "./cmd/promtool", "remove_all_sd")
# Module v1.76.0 is Jaeger v2.13.0.
JAEGER = Source("jaeger", "github.com/jaegertracing/jaeger", "v1.76.0", "./cmd/jaeger")
DASHBOARDS = Source(
    "victoria-metrics",
    "github.com/VictoriaMetrics/VictoriaMetrics",
    "v1.128.0",
    "./app/victoria-metrics",
)
LOGS = Source(
    "victoria-logs", "github.com/VictoriaMetrics/VictoriaLogs", "v1.52.2", "./app/victoria-logs"
)
LOGS = Source(
    "victoria-logs", "github.com/VictoriaMetrics/VictoriaLogs", "v1.52.2", "./app/victoria-logs"
)

_ZIPKIN = "zipkin-server-3.5.1-exec.jar"
_ZIPKIN_SHA256 = "7ac633a6832647e71e50012a5e3e91fbc7054414955261724526030faf271d8d"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_FETCH_WITHIN_S = 600


@dataclass(frozen=True, slots=True)
class Programs:
    """The paths of the programs that `make observe` starts."""

    collector: Path
    jaeger: Path
    prometheus: Path
    dashboards: Path
    logs: Path
    zipkin: Path


def programs(tell: Tell) -> Programs:
    """Build or fetch missing programs. Raises StackError with the program and its log."""
    found = Programs(
        collector=collector(tell),
        jaeger=build(JAEGER, tell),
        prometheus=build(PROMETHEUS, tell),
        dashboards=build(DASHBOARDS, tell),
        logs=build(LOGS, tell),
        zipkin=_zipkin(tell),
    )
    build(PROMTOOL, tell)
    building.forget_sources()
    return found


def promtool(tell: Tell) -> Path:
    """The program that tests Prometheus' rules."""
    return build(PROMTOOL, tell)


def collector(tell: Tell) -> Path:
    """A collector with exactly the components of its configuration."""
    binary = collector_binary()
    alone("go", lambda: not binary.exists(), lambda: _make_collector(binary, tell))
    return binary


def collector_binary() -> Path:
    """The path of the built collector."""
    recipe = hashlib.sha256(_BUILDER_FILE.read_bytes()).hexdigest()[:12]
    return built_folder() / f"otelcol-{recipe}"


def _make_collector(binary: Path, tell: Tell) -> None:
    folder = building.module_folder(_BUILDER.module, _BUILDER.version)
    with tempfile.TemporaryDirectory(dir=built_folder()) as scratch:
        builder = Path(scratch) / "builder"
        building.run_go(["build", "-o", str(builder), "."], folder, "collector-builder", tell)
        recipe = [str(builder), "--verbose", "--config", str(_BUILDER_FILE)]
        building.run_go(recipe, Path(scratch), binary.name, tell)
        (Path(scratch) / "build" / "otelcol").rename(binary)


def _zipkin(tell: Tell) -> Path:
    jar = built_folder() / _ZIPKIN
    alone("zipkin", lambda: not jar.exists(), lambda: _fetch_zipkin(jar, tell))
    return jar


def _fetch_zipkin(jar: Path, tell: Tell) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError("mvn is missing: install the package maven, or use Docker")
    tell("fetching Zipkin, for its page; this is done once")
    with tempfile.TemporaryDirectory(dir=jar.parent) as scratch:
        artifact = "-Dartifact=io.zipkin:zipkin-server:3.5.1:jar:exec"
        done = subprocess.run(
            [maven, "-q", "-B", _COPY, artifact, f"-DoutputDirectory={scratch}"],
            check=False,
            capture_output=True,
            text=True,
            cwd=scratch,
            timeout=_FETCH_WITHIN_S,
        )
        if done.returncode != 0:
            raise StackError(f"Maven could not fetch Zipkin:\n{done.stdout[-1000:]}")
        draft = Path(scratch) / _ZIPKIN
        if hashlib.sha256(draft.read_bytes()).hexdigest() != _ZIPKIN_SHA256:
            raise StackError(f"{_ZIPKIN} is not the jar that was expected: nothing was installed")
        draft.rename(jar)
