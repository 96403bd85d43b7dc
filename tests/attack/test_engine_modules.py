"""Asterisk loads nothing that executes commands of the system, fetches pages, or moves calls on a phone's request."""

from __future__ import annotations

import pytest

from tests.telephony.test_config import CONFIG
from trunkline.telephony.config import base_files
from trunkline.telephony.config.modules import MODULES

pytestmark = pytest.mark.attack

_REFUSED = {
    "app_system", "app_exec", "app_externalivr", "app_originate", "app_transfer", "app_dictate", "app_readexten",
    "func_shell", "func_curl", "func_env", "func_odbc", "func_realtime", "res_agi", "res_curl", "res_config_curl",
    "res_pjsip_refer", "res_pjsip_diversion", "res_pjsip_messaging", "res_pjsip_publish_asterisk",
    "res_pjsip_send_to_voicemail", "res_http_post", "res_phoneprov", "res_clialiases", "pbx_spool", "pbx_dundi", "pbx_lua",
    "pbx_ael", "pbx_realtime", "chan_iax2", "chan_unistim", "chan_mgcp", "chan_console",
}  # fmt: skip


def test_only_named_modules_are_loaded() -> None:
    assert not _REFUSED & set(MODULES)
    assert "autoload = no" in base_files(CONFIG)["modules.conf"]


def test_functions_that_execute_commands_are_for_the_dialplan_only() -> None:
    assert "live_dangerously = no" in base_files(CONFIG)["asterisk.conf"]
