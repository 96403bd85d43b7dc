"""Voice analysis of stereo recordings: speech of each side, audio quality, and, on request, a transcript.

``spans`` and ``talk`` (who spoke when), ``sound`` (how well) and ``requirements`` (is it good enough) are pure rules.
``work`` joins them for one file, with ``silero`` to detect speech and ``transcriber`` to write it down; ``child`` runs
that in a separate process. ``jobs``, ``service`` and ``worker`` run it as jobs, ``reading`` returns the results.
"""
