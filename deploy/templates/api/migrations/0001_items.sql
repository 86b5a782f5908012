-- Items. {service} is the service's role.

create table item (
    id         uuid        primary key,
    name       text        not null unique check (char_length(name) between 1 and 100),
    version    integer     not null check (version > 0),
    created_at timestamptz not null default now()
);

grant select, insert, update, delete on item to {service};
