-- The operations on agents at work have a permission of their own: who manages queues had these tasks in mind.
insert into user_permissions (account_id, user_id, resource, action)
select account_id, user_id, 'agents', action from user_permissions where resource = 'queues'
on conflict do nothing;
