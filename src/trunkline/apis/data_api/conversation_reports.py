"""Reports of communications other than calls, of visits and of campaigns."""

from __future__ import annotations

from trunkline.apis.data_api.lists import PERIOD, list_method, titled
from trunkline.apis.jsonrpc import ParamType
from trunkline.apis.jsonrpc.derive import override
from trunkline.reports.campaign_stat import CAMPAIGN_DAYS, campaign_daily_stat
from trunkline.reports.chats import CHANNELS, CHATS, MESSAGES, chat_messages_report, chats_report
from trunkline.reports.communications import COMMUNICATIONS, communications_report
from trunkline.reports.goals import GOALS, goals_report
from trunkline.reports.offline_messages import OFFLINE_MESSAGES, offline_messages_report
from trunkline.reports.visitor_sessions import VISITOR_SESSIONS, visitor_sessions_report

ON_SITES = titled("call_tracking", "consultant", "lead", "sitephone")
"""What an account must have one of, for reports of what happens on its sites."""

_CHATS_OR_PERIOD = (
    override("chat_id", unless=("chat_ids", "date_from", "date_till")),
    override("chat_ids", items=ParamType.NUMBER, unless=("chat_id", "date_from", "date_till"), maximum=1000),
    override("date_from", unless=("chat_id", "chat_ids")),
    override("date_till", unless=("chat_id", "chat_ids")),
)

METHODS = (
    list_method(
        "get.communications_report",
        "Calls, chats, offline messages and goals of a period in one list.",
        COMMUNICATIONS,
        read=communications_report,
        params=PERIOD,
        components=(*ON_SITES, *titled("upload_chats")),
    ),
    list_method(
        "get.chats_report",
        "Chats that began in a period.",
        CHATS,
        read=chats_report,
        params=PERIOD,
        components=ON_SITES,
    ),
    list_method(
        "get.chat_messages_report",
        "Messages of chats, or of a period.",
        MESSAGES,
        read=chat_messages_report,
        params=_CHATS_OR_PERIOD,
        components=titled("consultant", "upload_chats"),
    ),
    list_method("get.chat_channels", "Channels that chats come by.", CHANNELS),
    list_method(
        "get.offline_messages_report",
        "Messages left in a period.",
        OFFLINE_MESSAGES,
        read=offline_messages_report,
        params=(
            *PERIOD,
            override(
                "include_tech_offline_messages",
                description="Also technical requests, which no customer made.",
            ),
        ),
        components=titled("consultant", "lead", "upload_offline_messages"),
    ),
    list_method(
        "get.goals_report",
        "Goals that visitors reached in a period.",
        GOALS,
        read=goals_report,
        params=PERIOD,
        components=ON_SITES,
    ),
    list_method(
        "get.visitor_sessions_report",
        "Visits that began in a period.",
        VISITOR_SESSIONS,
        read=visitor_sessions_report,
        params=PERIOD,
        components=ON_SITES,
    ),
    list_method(
        "get.campaign_daily_stat",
        "Visits, communications and costs of a site's campaigns, day by day.",
        CAMPAIGN_DAYS,
        read=campaign_daily_stat,
        params=(*PERIOD,),
        components=ON_SITES,
        permissions=(
            ("site_selected", "select"),
            ("ac_undefined", "select"),
            ("ac", "select"),
            ("ac_ext", "select"),
        ),
        contract_overrides={
            "communications.communication_type": "communication_type",
            "communications.communication_id": "communication_id",
            "communications.attributes": "attributes",
            "communications.tags": "tags",
            **{
                f"communications.tags.{name}": name
                for name in (
                    "tag_id",
                    "tag_name",
                    "tag_type",
                    "tag_change_time",
                    "tag_user_id",
                    "tag_user_login",
                    "tag_employee_id",
                    "tag_employee_full_name",
                )
            },
        },
    ),
)
