"""What a machine needs before Trunkline can run, and the tree of processes that runs it.

``asterisk`` and ``postgres`` find or fetch the programs, ``secrets`` and ``certificates`` make what an
instance must have, ``supervisor`` starts and monitors the processes, ``status`` reports their state.
Imports ``core`` only: commands, migrations and configuration writers are handed in.
"""
