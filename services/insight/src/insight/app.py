"""The insight service, wired."""

from functools import partial

from insight.clients import Account, Model, OpenAiApi, RedisAnswers, Timing
from insight.clients.folder import read_documents
from insight.handlers import (
    Answerer,
    Explainer,
    needs_nothing,
    on_erased,
    on_explained,
    on_risk_assessed,
    on_status_changed,
)
from insight.routes import Api, operator_routes, routes
from insight.settings import LEASE_BEYOND_S, Settings
from insight.store import (
    EXPLANATION_TABLE,
    Budget,
    ErasedSubjects,
    Explanations,
    Figures,
    KnownPayments,
    Passages,
    assessed_of,
)
from payment_schemas.events.confirmation import PaymentStatusChanged
from payment_schemas.events.insight import RiskExplained
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.risk import RiskAssessed
from payment_schemas.events.subject import SubjectErased
from service_runtime import metrics
from service_runtime.admin import Findings, add_check, check_router, together
from service_runtime.consumer import Handler
from service_runtime.edge import Admission
from service_runtime.jobs import Every, Job, Run
from service_runtime.lanes import LaneWork
from service_runtime.postgres import PostgresTransaction
from service_runtime.process import Process
from service_runtime.retention import Retention
from service_runtime.schedule import repeat
from service_runtime.service import Service
from service_runtime.work_table import PostgresWorkTable

DOCUMENTS_EVERY_S = 300.0
BUDGET_EVERY_S = 10.0
ERASE_AGAIN_S = 3600.0


async def check(tx: PostgresTransaction, _since: object) -> Findings:
    """Return no violation, and payments that wait for their explanation for long."""
    unfinished = await tx.rows(
        """select id as payment_id, extract(epoch from now() - created_at)::float8 as age_s
           from explanation where due_at < now() - interval '1 minute' and parked_at is null
           order by due_at limit 100"""
    )
    return Findings([], unfinished)


def build(settings: Settings) -> Process:
    """Return the process: explanations of assessed payments, and the chat."""
    service = Service("insight", settings)
    model = _model(service, settings)
    _explain(service, settings, model)
    passages = Passages(service.database)
    _keep_documents(service, settings, passages)
    service.authenticate(settings.mac_compliance_keys, SubjectErased)
    service.job(Job("erased-again", Every(ERASE_AGAIN_S), partial(_erase_again, service)))
    answerer = Answerer(Figures(service.database), passages, model)
    api = Api(
        database=service.database,
        admission=Admission.of(service, settings),
        answerer=answerer,
        reads_per_minute=settings.reads_per_minute,
        questions_per_minute=settings.questions_per_minute,
    )
    service.retain(
        Retention(EXPLANATION_TABLE, "created_at", settings.life),
        Retention("known_payment", "created_at", settings.life),
    )
    checks = check_router(service.operators)
    add_check(checks, service.database, check, EXPLANATION_TABLE)
    assessed = partial(on_risk_assessed, has_model=model is not None)
    return service.process(
        handlers=[
            Handler(RiskAssessed, assessed, Explanations),
            Handler(PaymentStatusChanged, on_status_changed, KnownPayments),
            Handler(SubjectErased, on_erased, ErasedSubjects),
        ],
        emits=[RiskExplained, AuditRecorded],
        routes=together(
            routes(api),
            operator_routes(service.database, answerer, service.operators),
            checks,
        ),
    )


async def _erase_again(service: Service, _run: Run) -> None:
    async with service.database.transaction() as tx:
        await ErasedSubjects(tx).erase_again()


def _model(service: Service, settings: Settings) -> Model | None:
    """Return the guarded model; None where none is configured."""
    if not settings.model_url:
        return None
    account = Account(
        settings.model_url, settings.model_name, settings.model_api_key.get, settings.model_try_s
    )
    timing = Timing(
        deadline_s=settings.model_deadline_s,
        try_s=settings.model_try_s,
        tries=settings.model_tries,
        open_s=settings.model_open_s,
        most_tokens=settings.model_most_tokens,
    )
    budget = Budget(service.database, settings.limits, settings.prices, service.clock)
    _show_budget(service, settings, budget)
    return Model(service.use(OpenAiApi(account)), budget, timing, service.clock)


def _show_budget(service: Service, settings: Settings, budget: Budget) -> None:
    shares = {"tokens": 0.0, "money": 0.0}

    async def read() -> None:
        used = await budget.used()
        shares["tokens"] = used.tokens / max(1, settings.limits.tokens)
        shares["money"] = used.nano_usd / max(1, settings.limits.nano_usd)

    metrics.gauge("model_budget_used", "Share of the day's budget, 0 to 1.", lambda: shares)
    service.every("model budget", BUDGET_EVERY_S, read)


def _explain(service: Service, settings: Settings, model: Model | None) -> None:
    """Explain due payments, each by itself; without a model those that were due before."""
    answers = service.use(RedisAnswers(settings))
    service.lanes(
        LaneWork(
            table=PostgresWorkTable(EXPLANATION_TABLE, assessed_of),
            handle=on_explained,
            store=Explanations,
            load=needs_nothing,
            act=Explainer(model, answers, settings.model_name),
            lease_s=settings.model_deadline_s + LEASE_BEYOND_S,
            concurrency=settings.model_calls,
        )
    )


def _keep_documents(service: Service, settings: Settings, passages: Passages) -> None:
    """Store the documents at the start, and again once they change."""

    async def step() -> float:
        await passages.replace(await read_documents(settings.documents_folder))
        return DOCUMENTS_EVERY_S

    service.run(partial(repeat, "documents", step, service.clock))
