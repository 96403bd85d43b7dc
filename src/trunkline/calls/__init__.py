"""Live calls: the rules of a call session, the switch that runs them, and the records that are kept of them.

====================  =======================================================================================
``rules``             the dispatcher of the rules: a signal or a command in, events and effects out; pure
``decision``          what a rule returns: events and effects
``context``           what a rule may ask about: free lines, registrations, the time of day
``session``           one call session and its legs; no decisions
``timers``            timers and questions as data: what a rule starts, and what comes back later; pure
``states``            what a call is doing: one state object, whose class determines which flow decides
``evolution``         applies an event to a session (``evolve``); what it changes is in ``fact_changes`` and
                      ``state_changes``
``effects``           what the switch does for a rule, and what a failure of it means
``commands``          the commands on a live call; ``command_names`` is what other processes need of commands
``finish_reasons``    why a leg or a session ended: the wire's names, and how they follow from the engine's causes
``summary``           the figures of a finished session; ``durations`` has its six durations; pure
``country``           the country of a number; pure
``live_view``         a live session in the form of ``list.calls``; pure
``flows``             the rules of each kind of call; pure
``records``           events and history rows in PostgreSQL
``switch``            the running switch: one process per node, owns the live calls
====================  =======================================================================================

``switch`` imports ``records`` and the rules; ``flows`` import neither.
"""
