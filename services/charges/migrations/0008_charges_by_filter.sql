-- Operators search charges by merchant and by status, the newest first, also for what none has.
create index charge_of_user on charge (user_id, created_at desc, id desc);
create index charge_of_status on charge (status, created_at desc, id desc);
