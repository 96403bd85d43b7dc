"""The running switch: engine signals and commands in, effects out.

====================  =======================================================================================
``switch``            the sessions of one node: finds the session of a signal, asks the rules, performs
``executor``          performs the effects of a decision on the engine
``recovery``          compares the engine with the event streams after a restart
``lease``             the lease of a node, with its fencing token
``live_context``      the context of a rule, answered from memory
``presence``          which lines are registered and which devices are busy
``registrations``     writes registrations of devices into the database
``rpc_server``        accepts commands from other processes; ``rpc_client`` is the other end
``login_guard``       delays and bans after failed registrations; ``login_bans`` has the rules
``limit_events``      publishes reached limits
====================  =======================================================================================
"""
