"""Scenarios as a list: their operations, the numbers, sites and campaigns that use them."""

from __future__ import annotations

from trunkline.contract.columns import field, listed
from trunkline.db.query import ColumnType, Listing
from trunkline.db.query.columns import nested

_NUMBER = ColumnType.NUMBER
_STRING = ColumnType.STRING

SCENARIOS = Listing(
    name="scenarios",
    table="scenarios c",
    where="c.account_id = %(account_id)s",
    order="c.scenario_id",
    columns=listed(
        "get.scenarios",
        field("id", "c.scenario_id"),
        field("name", "c.name"),
        field(
            "virtual_phone_numbers",
            "(select jsonb_agg(distinct v.phone_number) from call_processing_rules r join virtual_numbers v"
            " on v.account_id = r.account_id and v.virtual_number_id = r.virtual_number_id"
            " where r.account_id = c.account_id and r.scenario_id = c.scenario_id)",
        ),
        field(
            "sites",
            "(select jsonb_agg(jsonb_build_object('site_id', s.site_id, 'site_domain_name', s.domain_name)"
            " order by s.site_id) from sites s"
            " where s.account_id = c.account_id and s.default_scenario_id = c.scenario_id)",
            match_id="site_id",
            match_name="site_domain_name",
            nested=nested(site_id=_NUMBER, site_domain_name=_STRING),
        ),
        field(
            "campaigns",
            "(select jsonb_agg(jsonb_build_object('site_id', s.site_id, 'site_domain_name', s.domain_name,"
            " 'campaign_id', a.campaign_id, 'campaign_name', a.name) order by a.campaign_id)"
            " from campaigns a left join sites s on s.account_id = a.account_id and s.site_id = a.site_id"
            " where a.account_id = c.account_id and a.campaign_id in (select cb.campaign_id"
            " from campaign_blocks cb join call_processing_rules r on r.account_id = cb.account_id"
            " and r.virtual_number_id = cb.virtual_number_id and r.is_active"
            " where cb.account_id = c.account_id and r.scenario_id = c.scenario_id))",
            match_id="campaign_id",
            match_name="campaign_name",
            nested=nested(
                site_id=_NUMBER, site_domain_name=_STRING, campaign_id=_NUMBER, campaign_name=_STRING
            ),
        ),
        field(
            "operations",
            "(select jsonb_agg(jsonb_build_object('id', o.operation_id, 'name', o.name)"
            " order by o.position, o.operation_id) from scenario_operations o"
            " where o.account_id = c.account_id and o.scenario_id = c.scenario_id)",
            match_id="id",
            match_name="name",
        ),
    ),
)
