"""Users as a list, with all that other entities have about them."""

from __future__ import annotations

from trunkline.core.errors import NotFound
from trunkline.db.pool import Database, Row

# The rules of the switch: a device that did not respond to the last OPTIONS gets no calls; who is in a queue is an agent.
_READ = """
select e.employee_id as id, e.account_id, e.is_active, e.first_name, e.patronymic, e.last_name,
    coalesce(u.email, e.email) as email, e.extension, e.status, e.status_id, e.created_at,
    u.user_id, u.login, u.pgroup_id, u.status as log_in_status, u.geo_limit, u.session_ttl, u.last_login_at,
    u.call_center_enabled,
    agent.is_agent, coalesce(a.in_reports, true) as in_reports, a.ext_user_id,
    a.wrap_up_time, a.no_answer_delay_time, a.reject_delay_time, a.busy_delay_time, a.max_no_answer,
    coalesce(a.settings, '{}') as settings, account.time_zone,
    (select g.name from permission_groups g where g.account_id = u.account_id and g.pgroup_id = u.pgroup_id) as pgroup,
    array(select m.group_id from group_members m
        where m.account_id = e.account_id and m.employee_id = e.employee_id order by m.group_id) as groups,
    coalesce((select jsonb_agg(jsonb_build_object('device_id', l.sip_line_id, 'ring', p.position, 'delay', 0,
            'timeout', p.dial_time, 'name', l.phone_number) order by p.is_checked_in desc, p.position, p.phone_id)
        from employee_devices p join sip_lines l on l.account_id = p.account_id and l.sip_line_id = p.sip_line_id
        where p.account_id = e.account_id and p.employee_id = e.employee_id), '[]') as devices,
    array(select distinct v.phone_number from scenario_operations o
        join call_processing_rules r on r.account_id = o.account_id and r.scenario_id = o.scenario_id
        join virtual_numbers v on v.account_id = r.account_id and v.virtual_number_id = r.virtual_number_id
        where o.account_id = e.account_id and o.position = 0 and o.kind = 'forward_employee'
            and o.settings ->> 'employee_id' = e.employee_id::text order by 1) as dids,
    array(select g.resource || ':' || g.action from user_permissions g
        where g.account_id = u.account_id and g.user_id = u.user_id order by 1) as permissions,
    coalesce((select jsonb_agg(jsonb_build_array(t.queue_id, t.mode, t.position, t.level, q.name, t.schedule_id, false)
            order by t.queue_id) from queue_tiers t
        join queues q on q.account_id = t.account_id and q.queue_id = t.queue_id
        where t.account_id = e.account_id and t.employee_id = e.employee_id), '[]') as queue_perms,
    exists (select from employee_devices p join registrations r
        on r.account_id = p.account_id and r.sip_line_id = p.sip_line_id
        where p.account_id = e.account_id and p.employee_id = e.employee_id and r.reachable is not false
            and (r.expires_at is null or r.expires_at > now() - interval '30 seconds')) as is_online
from employees e join accounts account on account.account_id = e.account_id
left join lateral (select * from users one where one.account_id = e.account_id and one.employee_id = e.employee_id
    order by one.user_id limit 1) u on true
left join agents a on a.account_id = e.account_id and a.employee_id = e.employee_id
cross join lateral (select coalesce(a.is_agent, false) or exists (select from queue_tiers t
    where t.account_id = e.account_id and t.employee_id = e.employee_id) as is_agent) agent
where e.account_id = %(account_id)s and (%(id)s::bigint is null or e.employee_id = %(id)s) and e.employee_id > %(after)s
    and (not %(only_agents)s or agent.is_agent)
    and (%(words)s::text is null
        or strpos(lower(concat_ws(' ', nullif(e.first_name, ''), nullif(e.patronymic, ''), e.last_name)),
            lower(%(words)s)) > 0
        or strpos(lower(e.full_name), lower(%(words)s)) > 0
        or strpos(lower(u.login), lower(%(words)s)) > 0
        or strpos(lower(coalesce(u.email, e.email)), lower(%(words)s)) > 0)
order by e.employee_id limit %(limit)s offset %(offset)s
"""


async def read_users(
    db: Database,
    account_id: int,
    *,
    words: str | None = None,
    only_agents: bool = False,
    after: int = -1,
    limit: int | None = None,
    offset: int = 0,
) -> list[Row]:
    """Users by id.

    :param words: part of the name, the login or the e-mail address; None: all.
    :param after: ids up to this one are left out.
    """
    params = {
        "account_id": account_id, "id": None, "words": words, "only_agents": only_agents, "after": after,
        "limit": limit, "offset": offset,
    }  # fmt: skip
    return await db.fetch_all(_READ, params)


async def read_user(db: Database, account_id: int, employee_id: int) -> Row:
    """One user; see :func:`read_users`.

    :raises NotFound: no such user.
    """
    params = {
        "account_id": account_id, "id": employee_id, "words": None, "only_agents": False, "after": -1,
        "limit": 1, "offset": 0,
    }  # fmt: skip
    row = await db.fetch_one(_READ, params)
    if row is None:
        raise no_user(employee_id)
    return row


def no_user(employee_id: int) -> NotFound:
    """The error of a user that the account does not have."""
    return NotFound(
        f"There is no user {employee_id}: GET /api/user lists them.", field="id", value=employee_id
    )
