-- What banks on Kafka send of a day's statement, page by page, and what operators publish again.

create table statement_page (
    partner      text        not null references kafka_partner (partner),
    day          date        not null,
    statement_id text        not null,
    page         integer     not null check (page >= 1),
    is_last      boolean     not null,
    received_at  timestamptz not null,
    primary key (partner, day, statement_id, page)
);

grant select, insert on statement_page to {service};

-- At most one replay a partner at a time; the position is the last instruction that was published.
create table partner_replay (
    partner      text        primary key references kafka_partner (partner),
    actor        text        not null,
    until        timestamptz not null,
    position_at  timestamptz not null,
    position_id  uuid        not null,
    published    integer     not null default 0 check (published >= 0),
    stepped_at   timestamptz not null default now(),
    finished_at  timestamptz
);

grant select, insert, update on partner_replay to {service};
