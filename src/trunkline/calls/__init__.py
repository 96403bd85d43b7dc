"""Live calls: the rules of a call session, the switch that performs them, and what is kept of them.

=================  ==========================================================================================
``reasons``        why a leg or a session ended: the wire's names, and how they follow from what the engine says
``session``        the state of one call session; how each event changes it (``evolve``); no decisions
``durations``      the six durations of a session, from its times
``machine``        the rules: a signal or command in, events and effects out; pure
``voice``          when a party's voice is recorded
``outgoing``       what a dialled number means (pure)
``look``           what the rules may ask about the world around a call: free lines, registrations, the hour
``writer``         events and history rows into PostgreSQL, in batches
``switch``         the shell: one process a node, owns the live calls
``recovery``       what a restarted switch does before it takes part again
``control``        the switch's door for commands from web; ``client`` is its other end
=================  ==========================================================================================
"""
