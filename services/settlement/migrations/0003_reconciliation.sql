-- What our books and a bank's statement disagree on, and what a person has decided about it.

alter table instruction add column booked_on date;
create index instruction_unbooked on instruction (partner, id)
    where status = 'SETTLED' and booked_on is null;

create table reconciliation_case (
    id          uuid        primary key,
    kind        text        not null check (kind in
        ('MISSING_THERE', 'MISSING_HERE', 'AMOUNT_DIFFERS', 'OUTCOME_UNKNOWN', 'LATE_ANSWER')),
    partner     text        not null,
    uetr        uuid        not null,
    payment_id  uuid        references instruction (id),
    day         date        not null,
    details     text        not null,
    status      text        not null default 'OPEN'
        check (status in ('OPEN', 'PROPOSED', 'RESOLVED')),
    resolution  text        check (resolution in ('SETTLE', 'RETURN', 'EXPLAINED')),
    note        text,
    proposed_by text,
    resolved_by text,
    version     integer     not null default 1 check (version >= 1),
    opened_at   timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    unique (partner, uetr, kind),
    check ((status = 'OPEN') = (proposed_by is null)),
    check ((status = 'OPEN') = (resolution is null)),
    check ((status = 'RESOLVED') = (resolved_by is not null)),
    -- Two people for what moves money, whoever asks.
    check (resolved_by is null or resolution = 'EXPLAINED' or resolved_by <> proposed_by)
);

create index reconciliation_case_unresolved on reconciliation_case (opened_at, id)
    where status <> 'RESOLVED';

create function reconciliation_case_keeps() returns trigger language plpgsql as $$
begin
    raise exception 'case %: what is resolved does not change', old.id;
end $$;

create trigger reconciliation_case_is_final before update on reconciliation_case for each row
    when (old.status = 'RESOLVED') execute function reconciliation_case_keeps();

grant select, insert, update on reconciliation_case to {service};
