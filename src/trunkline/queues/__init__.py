"""Queues of a call center: how a waiting caller reaches an agent. Pure rules on event streams.

====================  =======================================================================================
``rules``             ``decide``: an input in, events and effects out
``inputs``            commands, what happened to calls, and time
``effects``           what the switch does for the rules
``decision``          what a rule returns
``context``           ids and random numbers
``account``           the queues and agents of one account, as their events make them
``callers``           callers, offers, callback tickets; the score
``agents``            agents and tiers
``states``            states, and the moves between them
``settings``          settings, defaults, limits of values
``evolution``         how each event changes the state (``evolve``, ``replay``)
``snapshots``         the whole state of a queue or an agent as one event
``overview``          waiting lists and figures for those who look at a queue
``index``             look-ups: who is free, who waits in which order, the next deadlines
``order``             callers in the order of their scores
``strategies``        agents in the order of the strategy
``tiers``             which levels are open for a caller
``evaluation``        who is offered to whom
``offers``            from calling an agent to the end of the call
``joining``           joining, keys, hang-ups
``attempts``          leaving and resuming
``limits``            how long a caller waits at most
``announcements``     the periodic announcement
``callbacks``         queue callbacks
``reservations``      agents who are reserved for a call that is being dialled
``configuration``     changes of queues, agents and tiers
``agent_commands``    status, state, wrap-up
``restart``           comparison with the engine after a restart
``service_level``     figures of service, counted from visits
``served``            their counts for the last two days, as part of the state
``steady_clock``      a clock that never jumps
====================  =======================================================================================
"""
