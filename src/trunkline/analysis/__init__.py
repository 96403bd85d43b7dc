"""Voice analysis of stereo recordings: who spoke when, how well it can be heard, and, when asked, what was said.

``spans`` and ``talk`` (who spoke when), ``sound`` (how well) and ``requirements`` (is it good enough) are pure rules.
``work`` joins them for one file, with ``silero`` to detect speech and ``transcriber`` to write it down; ``child`` runs
that in a process of its own. ``enqueue``, ``service`` and ``worker`` make jobs of it, ``reading`` tells what came out.
"""
