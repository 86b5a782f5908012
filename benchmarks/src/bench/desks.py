"""What operators of the add-ons have before them, made by SQL: review cases, card payments, scores.

Rows are as services write them: shares of states as of a year, a fraud in 500 payments.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg

from bench.system import System

ADD_ONS = ("compliance", "charges", "fraud", "insight")
"""Services with pages of their own, and the one that a payment's page asks beside them."""
AT_ONCE = 3

_ID = "(lpad(to_hex(n), 8, '0') || substr(md5('{}' || n), 9))::uuid"
_CASES = """
insert into compliance.review_case (id, kind, user_id, business_day, state, outcome, detected_at,
    suspect_known, due_on, assignee, opened_at, closed_at, version)
select {case}, kind, 'usr-case-' || n, case kind when 'CTR' then current_date - n %% 300 end, state,
       case state when 'CLOSED' then (array['FILED', 'NOT_SUSPICIOUS'])[1 + n %% 2] end,
       now() - n %% 300 * interval '1 day', n %% 3 > 0, current_date + 30 - n %% 300,
       case state when 'OPEN' then null else 'issuer|alice' end,
       now() - n %% 300 * interval '1 day', case state when 'CLOSED' then now() end, 3
from generate_series(1, %(count)s) as n
cross join lateral (select case when n %% 10 = 0 then 'CTR' else 'SAR' end as kind,
    case when n %% 10 < 8 then 'CLOSED' else (array['OPEN', 'ASSIGNED', 'OPEN', 'ESCALATED'])
        [1 + n / 10 %% 4] end as state) as drawn
"""
_EVIDENCE = """
with paid as (
    insert into compliance.known_payment (payment_id, user_id, amount_usd_minor, payee,
        amount_minor, currency, confirmed_at, seen_at, transaction_id, account, score)
    select {paid}, 'usr-case-' || (n + 1) / 2, 600000, 'payee-' || n %% 1000, 600000, 'USD',
           now() - interval '9 days', null, 'case-' || n, 'acc-' || (n + 1) / 2, 40
    from generate_series(1, 2 * %(count)s) as n returning payment_id, transaction_id)
insert into compliance.case_payment (kind, payment_id, case_id, reasons)
select review_case.kind, paid.payment_id, review_case.id, array['amount']
from paid join compliance.review_case
    on user_id = 'usr-case-' || (split_part(transaction_id, '-', 2)::integer + 1) / 2
"""
_ENTRIES = """
insert into compliance.case_entry (case_id, by, act, text)
select id, 'issuer|alice', act, 'the branch knows the payer'
from compliance.review_case cross join (values ('READ'), ('NOTE')) as done (act)
where user_id like 'usr-case-%%'
"""
_CHARGES = """
insert into charges.charge (id, user_id, amount_minor, currency, source, email, status, goal,
    next_step, review, outcome, may_retry, provider, attempt, tries, version, code,
    provider_reference, captured_minor, created_at, updated_at)
select {charge}, 'usr-merchant-' || n %% 500, 1000 + n %% 9000, 'USD', 'tok_' || n,
       '', status, 'CAPTURE', 'ENQUIRE',
       case when status in ('DECLINED', 'FAILED') then 'NONE' when n %% 25 = 0 then 'LISTED'
           else 'APPROVED' end,
       case status when 'DECLINED' then 'declined' when 'FAILED' then 'failed' else 'success' end,
       true, (array['stripe', 'adyen'])[1 + n %% 2], 1, 0, 3,
       case status when 'DECLINED' then 'do_not_honor' when 'FAILED' then 'no_provider' end,
       'pi_' || n, case when status in ('DECLINED', 'FAILED') then 0 else 1000 + n %% 9000 end,
       now() - n * interval '10 seconds', now() - n * interval '10 seconds'
from generate_series(1, %(count)s) as n
cross join lateral (select case when n %% 20 = 0 then 'DECLINED' when n %% 500 = 1 then 'FAILED'
    else 'CAPTURED' end as status) as drawn
"""
_TRANSFERS = """
insert into charges.transfer (source_id, kind, debit_account, credit_account, amount_minor,
    currency, posted_at)
select id, kind, debit, credit, case kind when 'FEE' then 59 else amount_minor end, currency,
       created_at
from charges.charge cross join lateral (values
    ('CAPTURE', 'equity:' || provider, 'merchant:' || user_id || ':USD'),
    ('FEE', 'equity:costs:USD', 'fees:' || provider || ':USD')) as moved (kind, debit, credit)
where status = 'CAPTURED' and user_id like 'usr-merchant-%%'
"""
_CHOICES = """
insert into charges.route_choice (charge_id, attempt, provider, propensity, segment, reasons,
    is_success, chosen_at)
select id, 1, provider, 0.5, 'card:USD:' || amount_minor %% 4,
       '{{"stripe":{{"probability":0.9}},"adyen":{{"probability":0.9}}}}', status = 'CAPTURED',
       created_at
from charges.charge where user_id like 'usr-merchant-%%'
"""
_DISPUTES = """
insert into charges.dispute (id, charge_id, user_id, provider, dispute_id, amount_minor,
    held_minor, currency, reason, status)
select id, id, user_id, provider, 'dp_' || provider_reference, amount_minor, 0, currency,
       'fraudulent', 'WON'
from charges.charge where user_id like 'usr-merchant-%%' and status = 'CAPTURED'
    and amount_minor %% 200 = 7
"""
_PAID = """
insert into fraud.paid (payment_id, user_id, transaction_id, payee, amount_usd_minor, confirmed_at)
select {scored}, 'usr-' || n %% 5000, 'scored-' || n, 'payee-' || n %% 1000, 5000,
       now() - n * interval '37 days' / %(count)s
from generate_series(1, %(count)s) as n
"""
_SCORES = """
insert into fraud.score (payment_id, version, decides, user_id, probability, reasons, features,
    scored_at)
select payment_id, version, stage = 'LIVE', user_id,
       0.004 * abs(hashtext(transaction_id || version)) / 2147483648.0, '{{}}',
       array_fill(1::real, array[40]), confirmed_at
from fraud.paid cross join fraud.model where transaction_id like 'scored-%%'
"""
_REPORTS = """
insert into fraud.report (payment_id, fraud_type, reported_by, reported_at)
select payment_id, 'payment_fraud', 'issuer|alice', now()
from fraud.paid where transaction_id like 'scored-%%0' and abs(hashtext(transaction_id)) %% 50 = 0
"""
FILLS = {
    "compliance": (_CASES, _EVIDENCE, _ENTRIES),
    "charges": (_CHARGES, _TRANSFERS, _CHOICES, _DISPUTES),
    "fraud": (_PAID, _SCORES, _REPORTS),
}
"""By service, in the order in which each row finds those that it names."""


def fill(system: System, count: int) -> None:
    """Add so many cases, card payments and scored payments, each with what belongs to it."""
    ids = {name: _ID.format(name) for name in ("case", "paid", "charge", "scored")}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [
            pool.submit(_run, system, [one.format(**ids) for one in statements], count)
            for statements in FILLS.values()
        ]
    for job in jobs:
        job.result()
    system.tell(f"{count:,} cases, card payments, scored payments")


def _run(system: System, statements: Sequence[str], count: int) -> None:
    with psycopg.connect(system.found.admin_dsn, autocommit=True) as connection:
        # The rows are consistent; approvals by two people, which triggers demand, are left out.
        connection.execute("set session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode(), {"count": count})
        connection.execute("set session_replication_role = origin")
        connection.execute("vacuum analyze")
