"""`make observe` and `make observe-down`: start and stop the observability programs."""

from local_stack.errors import StackError
from local_stack.layout import Layout
from local_stack.ports import require_free
from local_stack.readiness import answers_ok, last_lines
from local_stack.stack import Stack
from local_stack.supervision import Supervisor
from local_stack.telemetry.building import Tell
from local_stack.telemetry.processes import Pace, Processes
from local_stack.telemetry.programs import programs
from local_stack.waiting import wait_until

NAMES = ("prometheus", "jaeger", "zipkin", "dashboards", "victorialogs", "collector")
# Fields of a log line beside time and level; the last one links to its trace.
_LINE = "service.name,_msg,reason,payment_id,trace_url"
_READY_WITHIN_S = 90


def observe(stack: Stack, tell: Tell, pace: Pace | None = None) -> Processes:
    """Build missing programs, start all of them and wait for them; the stack need not run.

    Running services are restarted, so that they send telemetry.

    Raises StackError where a build fails, a port is taken, or a program is not ready.
    """
    found = programs(tell)
    processes = Processes(stack.layout, stack.ports, found, pace or Pace(), stack.instances)
    supervisor = Supervisor(stack.layout)
    with stack.alone():
        stack.credentials.make(stack.inventory)
        running = supervisor.processes()
        require_free(pair for pair in processes.ports_of() if pair[0] not in running)
        supervisor.start()
        supervisor.apply(processes.all())
    _wait(processes, stack.layout, tell)
    stack.refresh()
    return processes


def stop_observing(stack: Stack) -> None:
    """Stop the programs of `observe`. Raises StackError where none runs."""
    supervisor = Supervisor(stack.layout)
    with stack.alone():
        running = [name for name in NAMES if name in supervisor.processes()]
        if not running:
            raise StackError("nothing observes: start it with `make observe`")
        supervisor.remove(running)
        if not supervisor.processes():
            supervisor.shut_down()
    stack.refresh()


def addresses(processes: Processes) -> dict[str, str]:
    """Addresses of the pages, by their content."""
    return {
        "dashboards": processes.url("grafana_web") + "/vmui/#/dashboards",
        "traces": processes.url("zipkin_web") + "/zipkin/",
        "logs": f"{processes.url('victorialogs_web')}/select/vmui/#/?query=*&displayFields={_LINE}",
        "alerts": processes.url("prometheus_web") + "/api/v1/alerts",
        "Jaeger's API": processes.url("jaeger_web") + "/api/traces/<trace id>",
        "OTLP": processes.url("collector_otlp").removeprefix("http://"),
    }


def _wait(processes: Processes, layout: Layout, tell: Tell) -> None:
    for name, url in processes.health().items():
        try:
            _wait_for(name, url)
        except StackError as error:
            log = last_lines(layout.logs / f"{name}.log")
            raise StackError(f"{error}; its log ends:\n{log}") from None
        tell(f"{name} is ready")


def _wait_for(name: str, url: str) -> None:
    wait_until(
        lambda: answers_ok(url),
        seconds=_READY_WITHIN_S,
        otherwise=f"{name} is not ready",
        pause_s=0.2,
    )
