"""Rules of each kind of call; pure: no I/O and no clock.

====================  =======================================================================================
``inbound``           a call to a virtual number, through its scenario; ``playing`` has what it plays
``voice_message``     messages that a scenario takes
``outbound``          a call that a phone starts
``click_to_call``     a call that the Call API starts; ``start_requests`` builds it from the request
``consultation``      hold, transfer and consultation: calls whose parties the switch connects itself
``coaching``          listen, whisper and barge
``third_party``       whom a command, a transfer or a forward calls in addition
``phone_transfer``    transfers that a phone asks for (REFER)
``redirects``         call forwarding in a phone (SIP 302); ``forwards`` has that of employees
``pick_up``           a call that rings for a colleague is answered by another phone
``menu``              menus of a scenario; ``scenario_position`` has where a call is in its scenario
``queueing``          a contact waits in a queue, and agents are called for it
``external_decision`` another system decides what happens to a call; ``external_question`` asks it
``mailbox``           an employee listens to a mailbox by phone, changes the PIN, records the greeting
``site_calls``        calls that visitors of a website ask for
``parking``           contacts in slots, taken by any phone of the account
``employee_settings`` codes by which an employee changes an own setting
``engine_connect``    what the engine rings and connects by itself, and how that ends
``table``             transition tables: what each input means in each state; ``inputs`` has the inputs
``parties``           the participants that a start request or a transfer names, as dial targets
``dialing``           how several devices or employees ring
``number_plan``       what a dialled number means
``recording``         when a party's voice is recorded
``talk_options``     keys that a participant presses during a talk
``outgoing_limits``   limits of outgoing calls per account and line
``channel_quota``     how many channels one account may have
====================  =======================================================================================
"""
