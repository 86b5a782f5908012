-- The contacts of the development users.

insert into contact (user_id, phone, email) values
    ('usr-456', '+15550100456', 'usr-456@example.com'),
    ('usr-457', '+15550100457', 'usr-457@example.com'),
    ('usr-458', '+15550100458', 'usr-458@example.com'),
    ('usr-459', '+15550100459', 'usr-459@example.com')
on conflict do nothing;
