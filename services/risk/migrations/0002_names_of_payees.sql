-- The payee's name, sealed for screening, of a request that still waits for its look-ups.

alter table assessment add column sealed_to_name text
    check (char_length(sealed_to_name) between 1 and 2000);
alter table assessment add constraint only_what_waits_has_a_name
    check (sealed_to_name is null or status = 'WAITING') not valid;
alter table assessment validate constraint only_what_waits_has_a_name;
