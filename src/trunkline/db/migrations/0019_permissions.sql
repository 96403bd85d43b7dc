-- Every method needs a permission. Until now methods for which the reference names none were open to each member.

alter table users drop constraint users_role_check,
    add constraint users_role_check
        check (role in ('owner', 'admin', 'supervisor', 'operator', 'integrator', 'member'));

-- A member's key was made for a whole API and keeps working: the permissions that its methods need from now on.
insert into user_permissions (account_id, user_id, resource, action)
select u.account_id, u.user_id, p.resource, p.action
from users u cross join (values
    ('reports', 'select'), ('reports', 'update'), ('configuration', 'select'), ('configuration', 'update'),
    ('uploads', 'select'), ('uploads', 'insert'), ('uploads', 'delete'),
    ('administration', 'select'), ('administration', 'update')) as p (resource, action)
where u.role = 'member' and u.data_api_enabled
    and exists (select from api_keys k where k.account_id = u.account_id and k.user_id = u.user_id
        and k.blocked_at is null and (k.expires_at is null or k.expires_at > now()))
on conflict do nothing;

-- The reference names no permission for any method of the Call API, so its switch was the permission.
insert into user_permissions (account_id, user_id, resource, action)
select u.account_id, u.user_id, 'call_control', p.action
from users u cross join (values ('select'), ('update')) as p (action)
where u.role = 'member' and u.call_api_enabled
on conflict do nothing;
