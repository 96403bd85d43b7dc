"""``get.offline_messages_report``: what visitors left in forms.

Behaviour that the reference leaves open: a message's ``communication_id`` is its ``id``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.db.query import Listing, Page
from trunkline.db.query.columns import boolean, enum, number, optional_text, string, time
from trunkline.reports.chats import PHONE_AS_NUMBER
from trunkline.reports.fields import TAGS, attributes, catalogue, pick
from trunkline.reports.period import date_condition
from trunkline.reports.reader import Reader
from trunkline.reports.visit import VISIT, sale, visitor_type

STATUSES = ("processing", "processed", "not_processed")
FORM_TYPES = ("Custom", "Standard", "DataAPI")

_MESSAGE = catalogue(
    number("id", "s.offline_message_id"),
    time("date_time", "s.date_time"),
    optional_text("text", "s.text"),
    number("communication_number", "s.communication_number"),
    enum("communication_type", "'offline_message'::text", enum=("offline_message",)),
    number("communication_id", "s.offline_message_id"),
    boolean("is_agree_to_process_personal_data", "s.is_agree_to_process_personal_data"),
    boolean("is_agree_to_mailing", "s.is_agree_to_mailing"),
    enum("status", "s.status", enum=STATUSES),
    time("process_time", "s.process_time"),
    enum("form_type", "s.form_type", enum=FORM_TYPES),
    string("form_name", "s.form_name"),
    string("properties", "s.properties"),
    number("group_id", "s.group_id"),
    string("group_name", "s.group_name"),
    number("employee_id", "s.employee_id"),
    string("employee_full_name", "s.employee_full_name"),
    string("employee_answer_message", "s.employee_answer_message"),
    string("employee_comment", "s.employee_comment"),
    number("visitor_phone_number", PHONE_AS_NUMBER),
    string("visitor_email", "s.contact_email"),
    string("visitor_name", "s.visitor_name"),
    visitor_type("new", "returning", "unknown"),
    string("ext_id", "s.ext_id"),
    TAGS,
    attributes(),
)

OFFLINE_MESSAGES = Listing(
    name="offline_messages",
    table="offline_messages s",
    where="s.account_id = %(account_id)s",
    order="s.date_time, s.offline_message_id",
    columns=pick(
        {**VISIT, **sale("'offline_message'", "s.offline_message_id"), **_MESSAGE},
        """
        id:fd date_time text:d communication_number:fs communication_page_url communication_type
        communication_id:fd is_agree_to_process_personal_data:d is_agree_to_mailing:d ua_client_id ym_client_id
        sale_date:fs sale_cost:fs status:fsd process_time form_type:fsd form_name:fs search_query:f
        search_engine:f referrer_domain:f referrer:f entrance_page:f gclid:f yclid:f ymclid:f ef_id:f channel:f
        properties:d group_id:fs group_name:fs employee_id:fsd employee_full_name:fs employee_answer_message
        employee_comment tags:f site_id:fsd site_domain_name:f campaign_id:fsd campaign_name:f
        visit_other_campaign visitor_phone_number:fd visitor_email:fd visitor_name:fd visitor_id:fsd person_id:fs
        visitor_type:fs visitor_session_id:fd visits_count:f visitor_first_campaign_id:f
        visitor_first_campaign_name:f visitor_city:f visitor_country:f visitor_region:f visitor_device:fs
        visitor_custom_properties:f segments:f utm_source:f utm_medium:f utm_term:f utm_content:f utm_campaign:f
        utm_referrer:f openstat_ad:f openstat_campaign:f openstat_service:f openstat_source:f attributes:f eq_utm_source:f
        eq_utm_medium:f eq_utm_term:f eq_utm_content:f eq_utm_campaign:f eq_utm_referrer:f eq_utm_expid:f
        source_id:fs source_name:fs source_new:fs channel_new:fs channel_code:fs ext_id:fs
        """,
    ),
)

_CONDITION = f"{date_condition('s')} and (%(include_tech)s or not s.is_tech)"


async def offline_messages_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of messages left in a period."""
    tech = bool(params.get("include_tech_offline_messages"))
    return await reader.report(OFFLINE_MESSAGES, params, _CONDITION, {"include_tech": tech})
