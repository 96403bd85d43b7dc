"""What Asterisk reads: rendered from dataclasses, the same text for the same values, written only when
changed.

:func:`base_files` is what needs a restart (paths, ports, modules); :func:`directory_files` is what
changes during calls (lines, trunks, default lines of numbers, music) and is applied by reloads.
"""

from trunkline.telephony.config.accounts import FOLDER, MARK, AccountFiles, Kind, stale_files
from trunkline.telephony.config.files import changed_files, remove_files, write_files
from trunkline.telephony.config.model import (
    DefaultRoute,
    EmergencyRoute,
    EndpointSet,
    EngineConfig,
    EnginePaths,
    EnginePorts,
    EngineSecrets,
    LineConfig,
    NumberFormat,
    SiteConfig,
    TrunkConfig,
    TrunkMode,
    TrunkTransport,
    WatchedExtension,
    trunk_endpoint,
)
from trunkline.telephony.config.render import SINGLE, base_files, directory_files

__all__ = [
    "FOLDER",
    "MARK",
    "SINGLE",
    "AccountFiles",
    "DefaultRoute",
    "EmergencyRoute",
    "EndpointSet",
    "EngineConfig",
    "EnginePaths",
    "EnginePorts",
    "EngineSecrets",
    "Kind",
    "LineConfig",
    "NumberFormat",
    "SiteConfig",
    "TrunkConfig",
    "TrunkMode",
    "TrunkTransport",
    "WatchedExtension",
    "base_files",
    "changed_files",
    "directory_files",
    "remove_files",
    "stale_files",
    "trunk_endpoint",
    "write_files",
]
