"""The running switch: handles signals of the engine and commands of the APIs, and performs the effects that follow.

====================  =======================================================================================
``switch``            the sessions of one node: finds the session of a signal and applies the rules
``arrivals``          calls that come in: each finds its account, is refused or begun
``command_handler``   commands of the APIs on live calls
``phone_transfers``   attended and blind transfers by phones; ``pick_ups`` has calls that another phone answers
``origins``           the account, and the line or virtual number, of an arrival
``channel_admission`` which legs may begin: an account's share of the channels
``executor``          performs the effects of a decision on the engine
``recovery``          compares the engine with the event streams after a restart
``lease``             the lease of a node, with its fencing token
``call_timers``       timers and questions of live calls
``lost_signals``      finds live calls whose channels ended without a signal
``unknown_channels``  ends channels that no call contains
``live_context``      the context of a rule, answered from memory
``presence``          which lines are registered and which devices are busy
``registrations``     writes registrations of devices into the database
``rpc_server``        accepts commands from other processes; ``rpc_client`` is the other end
``login_guard``       bans addresses after failed log-ins; ``login_bans`` has the rules, ``login_guessing`` counts
``refused_media``     counts calls that Asterisk refuses because of media encryption
``last_talks``        which employee talked last with each caller
``limit_events``      publishes reached limits
====================  =======================================================================================
"""
