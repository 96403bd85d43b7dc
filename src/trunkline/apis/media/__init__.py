"""HTTP endpoints for playing and downloading recordings, see :mod:`.endpoints`."""

from trunkline.apis.media.endpoints import routes

__all__ = ["routes"]
