"""The door for recordings: plays and downloads them, see :mod:`.endpoint`."""

from trunkline.apis.media.endpoints import routes

__all__ = ["routes"]
