"""Media files: ``get.media_files``."""

from __future__ import annotations

from trunkline.apis.data_api.lists import list_method
from trunkline.directory.media.listing import MEDIA_FILES

METHODS = (
    list_method("get.media_files", "Sounds that callers hear: the account's and the system's.", MEDIA_FILES),
)
