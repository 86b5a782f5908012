-- What files contained. {service} is the service's role.

create table imported_row (
    file     text    not null,
    line     integer not null,
    name     text    not null,
    quantity integer not null,
    primary key (file, line)
);

create table refused_line (
    file    text    not null,
    line    integer not null,
    field   text    not null,
    reason  text    not null,
    content bytea   not null,  -- as it came, for whoever corrects it
    primary key (file, line)
);

grant select, insert on imported_row, refused_line to {service};
