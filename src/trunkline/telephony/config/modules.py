"""The modules Asterisk loads: only what carries our calls."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_NAMES = """
res_timing_timerfd res_crypto res_sorcery_config res_sorcery_memory res_sorcery_astdb res_http_websocket
res_websocket_client res_pjproject res_pjsip res_pjsip_session res_pjsip_pubsub res_pjsip_acl
res_pjsip_authenticator_digest res_pjsip_outbound_authenticator_digest res_pjsip_outbound_publish
res_pjsip_caller_id res_pjsip_dlg_options res_pjsip_dtmf_info res_pjsip_empty_info
res_pjsip_endpoint_identifier_ip res_pjsip_endpoint_identifier_user res_pjsip_header_funcs
res_pjsip_logger res_pjsip_maintenance res_pjsip_mwi res_pjsip_mwi_body_generator res_pjsip_nat res_pjsip_notify
res_pjsip_outbound_registration res_pjsip_path res_pjsip_registrar res_pjsip_rfc3326 res_pjsip_sdp_rtp
res_pjsip_transport_websocket res_rtp_asterisk res_srtp res_format_attr_opus
bridge_builtin_features bridge_builtin_interval_features bridge_holding bridge_native_rtp bridge_simple
bridge_softmix chan_bridge_media chan_pjsip codec_a_mu codec_alaw codec_ulaw codec_g722 codec_resample
codec_opus_open_source codec_opus format_pcm format_sln format_wav res_musiconhold res_stasis
res_stasis_answer res_stasis_playback res_stasis_recording res_stasis_snoop res_stasis_device_state
res_ari res_ari_model res_ari_applications res_ari_asterisk res_ari_bridges res_ari_channels
res_ari_device_states res_ari_endpoints res_ari_events res_ari_playbacks res_ari_recordings
res_ari_sounds res_security_log res_mutestream res_cdrel_custom cel_custom app_stasis app_amd app_channelredirect app_dial
app_directed_pickup app_mixmonitor app_senddtmf app_stack app_playback app_chanspy func_callerid func_channel
func_cut func_db func_dialplan func_hangupcause func_logic func_math func_pjsip_aor func_pjsip_contact
func_pjsip_endpoint func_sorcery func_strings func_global func_groupcount pbx_config
"""
MODULES = tuple(_NAMES.split())

TRANSFERS = "res_pjsip_refer"
"""Loaded only when phones may transfer calls (decision 0043)."""

BUSY_LAMPS = (
    "res_pjsip_exten_state",
    "res_pjsip_dialog_info_body_generator",
    "res_pjsip_pidf_body_generator",
    "res_pjsip_xpidf_body_generator",
)
"""Loaded only when phones may watch extensions."""

_OPUS = ("codec_opus_open_source", "codec_opus")


def present(folder: Path, *, transfers: bool = False, busy_lamps: bool = False) -> Iterable[str]:
    """Those of :data:`MODULES` that this installation has; naming others would only fill its log."""
    wanted = (*MODULES, *([TRANSFERS] if transfers else []), *(BUSY_LAMPS if busy_lamps else []))
    return (name for name in wanted if (folder / f"{name}.so").exists())


def has_opus(folder: Path) -> bool:
    """Whether Opus can be translated; offering it without would leave callers with other codecs without sound."""
    return any((folder / f"{name}.so").exists() for name in _OPUS)
