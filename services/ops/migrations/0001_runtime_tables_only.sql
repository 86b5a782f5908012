-- ops owns no table: the runtime's outbox commits a redriven record with its audit record.
select 1;
