-- Customers' addresses are sealed, and go when their charge has ended; erased persons have no cards.
-- {service} is the service's role.

update charge set email = '' where email <> '' and status not in ('CREATED', 'AUTHORIZING', 'UNKNOWN', 'AUTHORIZED');
alter table charge add constraint email_until_the_end
    check (email = '' or status in ('CREATED', 'AUTHORIZING', 'UNKNOWN', 'AUTHORIZED'));
grant update (email) on charge to {service};

create table erased_subject (
    user_id   text        primary key check (char_length(user_id) between 1 and 128),
    erased_at timestamptz not null default now()
);
grant select, insert on erased_subject to {service};
