-- Reports. {service} is the service's role.

create table report (
    due_at   timestamptz primary key,  -- one report a due time, whatever runs again
    made_at  timestamptz not null,
    instance integer     not null
);

grant select, insert on report to {service};
