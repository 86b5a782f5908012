"""The observability processes for the supervisor: settings, ports, limits."""

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local_stack.certificates import AUTHORITY
from local_stack.credentials import (
    MONITOR_PASSWORD,
    SCRAPER,
    Credentials,
    credential_name,
    principal_name,
    redis_name,
)
from local_stack.errors import StackError
from local_stack.layout import CHECKOUT, Layout
from local_stack.ports import Ports
from local_stack.programs import Program
from local_stack.rights import MONITOR
from local_stack.settings import transport_is_tls
from local_stack.telemetry.programs import Programs
from local_stack.telemetry.scraping import scrape_by_tls
from local_stack.telemetry.vmui import write_pages

HERE = "127.0.0.1"
_FOLDER = CHECKOUT / "deploy" / "observability"
RULES = _FOLDER / "rules"


@dataclass(frozen=True, slots=True)
class Pace:
    """The scrape interval and the alert rules: shorter for staged faults."""

    every_s: int = 15
    decide_s: int = 10
    """How long a trace's spans are waited for before it is kept or not."""
    rules: Path = RULES


@dataclass(frozen=True, slots=True)
class Processes:
    """The observability processes of one stack, and their health addresses."""

    layout: Layout
    ports: Ports
    programs: Programs
    pace: Pace
    instances: Mapping[str, int]

    def all(self) -> list[Program]:
        """Write their settings and describe them. Raises StackError where Java is missing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return [
            self._prometheus(),
            self._jaeger(),
            self._zipkin(),
            self._dashboards(),
            self._victorialogs(),
            self._collector(),
        ]

    def health(self) -> dict[str, str]:
        """Name → address that answers 200 once it is ready."""
        return {
            "prometheus": self.url("prometheus_web") + "/-/ready",
            "jaeger": self.url("jaeger_health") + "/status",
            "zipkin": self.url("zipkin_web") + "/health",
            "dashboards": self.url("grafana_web") + "/health",
            "victorialogs": self.url("victorialogs_web") + "/health",
            "collector": self.url("collector_health") + "/",
        }

    def ports_of(self) -> Iterator[tuple[str, int]]:
        """(name, port) of everything that they listen at."""
        for name in self.ports.inventory.ports:
            part = name.partition("_")[0]
            if part in {"collector", "jaeger", "prometheus", "grafana", "victorialogs", "zipkin"}:
                yield part.replace("grafana", "dashboards"), self.ports.at(name)

    def url(self, name: str) -> str:
        """The address of a part, such as `jaeger_web`."""
        return f"http://{self._at(name)}"

    @property
    def folder(self) -> Path:
        return self.layout.root / "telemetry"

    def _at(self, name: str) -> str:
        return f"{HERE}:{self.ports.at(name)}"

    def _collector(self) -> Program:
        files = (CHECKOUT / "otel-collector-config.yaml", _FOLDER / "collector-native.yaml")
        settings = [part for file in files for part in ("--config", str(file))]
        at, port = self._at, self.ports.at
        secrets = Credentials(self.layout.secrets)
        environment = {
            "COLLECTOR_BIND": HERE,
            "COLLECTOR_PORT": str(port("collector_otlp")),
            "COLLECTOR_HTTP_PORT": str(port("collector_http")),
            "COLLECTOR_HEALTH_PORT": str(port("collector_health")),
            "COLLECTOR_METRICS_PORT": str(port("collector_metrics")),
            "COLLECTOR_LOGS_FILE": str(self.layout.logs / "otlp.jsonl"),
            "KAFKA_BOOTSTRAP_SERVERS": f"{HERE}:{self.ports.kafka}",
            "KAFKA_PASSWORD_FILE": str(secrets.path(principal_name(MONITOR))),
            "KAFKA_TLS_CA": str(secrets.path(AUTHORITY)) if transport_is_tls() else "",
            "POSTGRES_PLAIN": "false" if transport_is_tls() else "true",
            "POSTGRES_ADDRESS": f"{HERE}:{self.ports.postgres}",
            "MONITOR_PASSWORD_FILE": str(secrets.path(MONITOR_PASSWORD)),
            "REDIS_PASSWORD_FILE": str(secrets.path(redis_name(MONITOR))),
            "REDIS_ADDRESS": f"{HERE}:{self.ports.redis}",
            "JAEGER_OTLP_ADDRESS": at("jaeger_otlp"),
            "PROMETHEUS_OTLP_URL": self.url("prometheus_web") + "/api/v1/otlp",
            "ZIPKIN_URL": self.url("zipkin_web"),
            "VICTORIALOGS_URL": self.url("victorialogs_web"),
            "TAIL_DECISION_WAIT": f"{self.pace.decide_s}s",
            "SCRAPE_INTERVAL": f"{self.pace.every_s}s",
            "GOMEMLIMIT": "320MiB",
        }
        command = (str(self.programs.collector), *settings)
        return Program("collector", command, self.folder, environment | _read_now(*files))

    def _jaeger(self) -> Program:
        environment = {
            "JAEGER_BIND": HERE,
            "JAEGER_PORT": str(self.ports.at("jaeger_web")),
            "JAEGER_GRPC_PORT": str(self.ports.at("jaeger_grpc")),
            "JAEGER_OTLP_PORT": str(self.ports.at("jaeger_otlp")),
            "JAEGER_HEALTH_PORT": str(self.ports.at("jaeger_health")),
            "JAEGER_METRICS_PORT": str(self.ports.at("jaeger_metrics")),
            "JAEGER_UI_FILE": str(_FOLDER / "jaeger-ui.json"),
            "PROMETHEUS_URL": self.url("prometheus_web"),
            # Otherwise it traces itself, and its spans mix with those of the services.
            "OTEL_TRACES_SAMPLER": "always_off",
            "GOMEMLIMIT": "512MiB",
        }
        settings = _FOLDER / "jaeger.yaml"
        command = (str(self.programs.jaeger), f"--config=file:{settings}")
        return Program("jaeger", command, self.folder, environment | _read_now(settings))

    def _prometheus(self) -> Program:
        settings = self.folder / "prometheus.yml"
        settings.write_text(yaml.safe_dump(self._prometheus_settings(), sort_keys=False))
        options = {
            "config.file": str(settings),
            "storage.tsdb.path": str(self.folder / "prometheus"),
            "storage.tsdb.retention.time": "7d",
            "web.listen-address": self._at("prometheus_web"),
            "enable-feature": "exemplar-storage,created-timestamp-zero-ingestion",
        }
        switches = [f"--{name}={value}" for name, value in options.items()]
        command = (
            str(self.programs.prometheus),
            *switches,
            "--web.enable-otlp-receiver",
            "--web.enable-lifecycle",
        )
        read = _read_now(settings, *sorted(self.pace.rules.glob("*.rules.yml")))
        return Program("prometheus", command, self.folder, read | {"GOMEMLIMIT": "256MiB"})

    def _prometheus_settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = yaml.safe_load((CHECKOUT / "prometheus.yml").read_text())
        pace = f"{self.pace.every_s}s"
        settings["global"] |= {"scrape_interval": pace, "evaluation_interval": pace}
        settings["rule_files"] = [str(self.pace.rules / "*.rules.yml")]
        for job in settings["scrape_configs"]:
            job["static_configs"] = self._targets(job["job_name"])
            for field in ("relabel_configs", "file_sd_configs"):
                job.pop(field, None)
            if "authorization" in job:
                job["authorization"]["credentials_file"] = str(self._secret(SCRAPER))
        if transport_is_tls():
            secrets = Credentials(self.layout.secrets)
            scrape_by_tls(settings, lambda name: str(secrets.path(name)))
        # The page with the dashboards has its own store.
        settings["remote_write"] = [{"url": self.url("grafana_web") + "/api/v1/write"}]
        return settings

    def _secret(self, caller: str) -> Path:
        return Credentials(self.layout.secrets).path(credential_name(caller))

    def _targets(self, job: str) -> list[dict[str, Any]]:
        if job == "services":
            inventory = self.ports.inventory
            running = {one.name for one in inventory.core} | self.instances.keys()
            names = [one.name for one in inventory.ours if one.name in running]
            return [self._service_targets(name) for name in names]
        part = {"otel-collector": "collector_metrics", "jaeger": "jaeger_metrics"}
        return [{"targets": [self._at(part.get(job, "prometheus_web"))]}]

    def _service_targets(self, name: str) -> dict[str, Any]:
        numbers = range(self.instances.get(name, 1))
        targets = [f"{HERE}:{self.ports.of(name, number)}" for number in numbers]
        return {"targets": targets, "labels": {"service_name": name}}

    def _zipkin(self) -> Program:
        java = shutil.which("java")
        if java is None:
            raise StackError("java is missing: install openjdk-17-jre-headless, or use Docker")
        environment = {
            # A payment's spans take 2 KiB of heap each; about 1,000 payments fit.
            "MEM_MAX_SPANS": "50000",
            "COLLECTOR_SAMPLE_RATE": "1.0",
            "LOGGING_LEVEL_ROOT": "WARN",
        }
        # Out of memory it would run without responding; once it exits, it is restarted.
        heap = ("-Xms48m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
        # The first entry of a list: naming one field of it drops the others.
        listen = {"ip": HERE, "port": self.ports.at("zipkin_web"), "protocols[0]": "http"}
        switches = [f"--armeria.ports[0].{name}={value}" for name, value in listen.items()]
        command = (java, *heap, "-jar", str(self.programs.zipkin), *switches)
        return Program("zipkin", command, self.folder, environment)

    def _dashboards(self) -> Program:
        pages = self.folder / "pages"
        write_pages(CHECKOUT / "grafana-dashboards", pages)
        options = {
            "httpListenAddr": self._at("grafana_web"),
            "storageDataPath": str(self.folder / "dashboards"),
            "retentionPeriod": "7d",
            "memory.allowedBytes": "64MiB",
            "search.latencyOffset": "5s",
            "vmui.customDashboardsPath": str(pages),
            "loggerLevel": "WARN",
        }
        return Program(
            "dashboards", (str(self.programs.dashboards), *_switches(options)), self.folder
        )

    def _victorialogs(self) -> Program:
        options = {
            "httpListenAddr": self._at("victorialogs_web"),
            "storageDataPath": str(self.folder / "victorialogs"),
            "retentionPeriod": "7d",
            "memory.allowedBytes": "64MiB",
            "loggerLevel": "WARN",
        }
        command = (str(self.programs.logs), *_switches(options))
        return Program("victorialogs", command, self.folder, {"GOMEMLIMIT": "128MiB"})


def _switches(options: Mapping[str, str]) -> list[str]:
    return [f"-{name}={value}" for name, value in options.items()]


def _read_now(*files: Path) -> dict[str, str]:
    """A variable with a hash of the files read at start, so that a change restarts it."""
    text = b"".join(file.read_bytes() for file in files)
    return {"SETTINGS_SHA256": hashlib.sha256(text).hexdigest()}
