-- Two people: whoever differs by upper and lower case alone is one person. A proposal ends after a day.
alter table reconciliation_case add constraint resolved_by_a_second_person
    check (resolved_by is null or resolution = 'EXPLAINED' or lower(resolved_by) <> lower(proposed_by));

create function reconciliation_case_in_time() returns trigger language plpgsql as $$
begin
    raise exception 'the proposal of % is older than a day: propose it again', old.proposed_by;
end $$;
create trigger reconciliation_case_proposal_ends before update on reconciliation_case for each row
    when (old.status = 'PROPOSED' and new.status = 'RESOLVED' and new.resolution <> 'EXPLAINED'
          and old.updated_at <= now() - interval '1 day')
    execute function reconciliation_case_in_time();
