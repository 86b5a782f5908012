-- What two people resolve is what the first of them has proposed, about a case that nobody may change
-- (decision 0035).
revoke insert, update on reconciliation_case from {service};
grant insert (id, kind, partner, uetr, payment_id, day, details),
    update (status, resolution, note, proposed_by, resolved_by, version, updated_at)
    on reconciliation_case to {service};

create function reconciliation_case_as_proposed() returns trigger language plpgsql as $$
begin
    raise exception 'case %: nobody has proposed this resolution', old.id;
end $$;
create trigger reconciliation_case_is_approved_as_proposed before update on reconciliation_case
    for each row when (new.status = 'RESOLVED' and new.resolution <> 'EXPLAINED' and
        ('PROPOSED', new.resolution, new.proposed_by)
        is distinct from (old.status, old.resolution, old.proposed_by))
    execute function reconciliation_case_as_proposed();
