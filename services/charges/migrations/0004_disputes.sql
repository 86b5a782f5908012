-- Disputes, and what of a charge they reserve. {service} is the service's role.

alter table transfer drop constraint transfer_kind;
alter table transfer add constraint transfer_kind
    check (kind in ('CAPTURE', 'FEE', 'REFUND_HOLD', 'REFUND', 'REFUND_RELEASE', 'DISPUTE_HOLD',
                    'DISPUTE_WON', 'DISPUTE_LOST'));

alter table charge add column disputed_minor bigint not null default 0
    check (disputed_minor >= 0);
alter table charge drop constraint refunds_within_capture;
-- Neither refunds nor disputes, nor both, exceed what was captured.
alter table charge add constraint refunds_within_capture
    check (refunding_minor + refunded_minor + disputed_minor <= captured_minor);
create index charge_of_provider on charge (provider, provider_reference)
    where provider_reference is not null;

create table dispute (
    id           uuid        primary key,
    charge_id    uuid        not null references charge,
    user_id      text        not null,
    provider     text        not null,
    dispute_id   text        not null check (char_length(dispute_id) between 1 and 200),
    amount_minor bigint      not null check (amount_minor > 0),
    held_minor   bigint      not null check (held_minor between 0 and amount_minor),
    currency     text        not null,
    reason       text        not null,
    status       text        not null check (status in ('OPEN', 'WON', 'LOST')),
    opened_at    timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    unique (provider, dispute_id)
);
create index dispute_of_charge on dispute (charge_id);
create index dispute_newest on dispute (opened_at desc, id desc);
create trigger dispute_is_final before update on dispute for each row
    when (old.status <> 'OPEN' and new.status <> old.status
          or old.held_minor <> new.held_minor)
    execute function charge_keeps();

grant select, insert, update on dispute to {service};
