"""The web console: pages for people, in the web process, under ``/console/``.

Pages are made by the server and work without scripts; scripts only add to them. What a page shows comes from the packages
that own it (``reports``, ``directory``, ``accounts``), by the same permissions as in the APIs.

``application``   the routes, and what every request passes
``page``          what a page is, and its entry in the navigation
``page_request``  one request of a page: who asks, in which language and zone
``page_renderer`` templates, and the headers of every page
``languages``     languages and their catalogues
``formats``       times, durations and numbers for people
``static_files``  style sheet and scripts
``forms``         forms that only our pages can send
``sign_in``       sign in and out
``home``          the first page: a day in figures
``call_filter``   filters of calls
``calls``         the list of calls and its export
``call_page``     the page of one call
``phone``         the phone in the browser
``story_texts``   what happened in a call, in sentences
``lists``         contacts, employees, lines
``live_source``   what the switch answers now, asked once for all open pages
``live_stream``   server-sent events of open pages
``live_calls``    calls in progress: listen, whisper, barge, hang up
``other_party``   who is at the other end of a call, as the user sees it; pure
``queues_live``   queues as they are now
``wallboard``     queues on a screen, by a user or by a link
``workspace``     the page of an operator's day; click-to-call
``me``            the user's own account: codes of an app
``setup``         set-up: pages that write what the account has
``search``        contacts, employees and calls by a name or number
``scenarios``        the list of scenarios, the editor, versions
``scenario_drawing`` the tree of a scenario as a page shows it; pure
``scenario_fields``  controls that follow from the declared fields of an operation; pure
``scenario_texts``   words for operations, fields and branches
"""
