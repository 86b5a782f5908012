-- Finds what is old enough to be forgotten; rows lie on the disk in the order in which they came.
create index inbox_handled on inbox using brin (handled_at) with (pages_per_range = 32);
