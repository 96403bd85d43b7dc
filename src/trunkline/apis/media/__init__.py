"""The door for recordings: plays and downloads them, see :mod:`.door`."""

from trunkline.apis.media.door import routes

__all__ = ["routes"]
