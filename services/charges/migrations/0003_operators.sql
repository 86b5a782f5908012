-- What operators read: the newest charges, and the newest choices of a provider.
create index charge_newest on charge (created_at desc, id desc);
create index route_choice_newest on route_choice (chosen_at desc);
