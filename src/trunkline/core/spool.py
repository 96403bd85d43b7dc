"""Which switches record into the spool folder of this machine.

The switch (and ``trunkline up``) writes a marker file into the folder. It shows a worker whose raw audio is there: on
another machine, or where the folder is not mounted, there is no marker, so missing files do not mean that there is no audio.
"""

from __future__ import annotations

from pathlib import Path

from trunkline.core.settings import Settings

_PREFIX = ".node-"


def mark_spool(settings: Settings) -> None:
    """Write the marker of this machine's switch; idempotent."""
    marker = settings.spool_dir / f"{_PREFIX}{settings.switch.node}"
    if not marker.exists():  # a folder that has become read-only does not keep a switch from its calls
        settings.spool_dir.mkdir(parents=True, exist_ok=True)
        marker.touch(mode=0o600)


def has_spool_of(spool: Path, node: int) -> bool:
    """Whether the raw audio of a node's calls is in this folder."""
    return (spool / f"{_PREFIX}{node}").exists()


def nodes_of_spool(spool: Path) -> frozenset[int]:
    """Nodes whose switches record into a folder; none when it is not there."""
    try:
        names = [path.name.removeprefix(_PREFIX) for path in spool.iterdir() if path.name.startswith(_PREFIX)]
    except OSError:
        return frozenset()
    return frozenset(int(name) for name in names if name.isdecimal())
