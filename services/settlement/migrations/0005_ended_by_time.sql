-- Written once a transfer, when it ends: a check looks at what has ended of late, and at what has not.
create index instruction_ended on instruction (updated_at) where due_at is null;
