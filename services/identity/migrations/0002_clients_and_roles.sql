-- Machines with a secret, and roles of operators. What either may do takes two operators; one
-- operator may stop a client at once, and let it go on. {service} is the service's role.

create table client (
    id          text        primary key check (id ~ '^[a-z][a-z0-9-]{2,39}$'),
    scopes      text[]      not null check (cardinality(scopes) between 1 and 20),
    -- SHA-256 of secrets of 256 random bits: the current one, and during a rotation the former one.
    secrets     text[]      not null check (cardinality(secrets) between 1 and 2),
    changed_at  timestamptz not null,
    disabled_at timestamptz
);
create trigger client_needs_two_people before insert or update of id, scopes, secrets on client
    for each row execute function require_approval('CLIENT_SET', '', 'id', 'scopes', 'secrets');

create table operator_roles (
    user_id uuid   primary key references app_user (id),
    roles   text[] not null check (
        roles <@ array['viewer', 'operator', 'approver', 'admin'] and cardinality(roles) <= 4)
);
create trigger roles_need_two_people before insert or update on operator_roles
    for each row execute function require_approval('ROLES_SET', '', 'user_id', 'roles');

grant select, insert on client to {service};
grant update (scopes, secrets, changed_at, disabled_at) on client to {service};
grant select, insert on operator_roles to {service};
grant update (roles) on operator_roles to {service};
