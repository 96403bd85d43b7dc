"""The flat family of reports (``get.calls``, ``get.communications``, ``get.visits``, ...): the same facts as the reports
of calls and conversations, as a person reads them.

Choices are objects ``{"value", "value_id"}``: a filter with ``=``, ``!=`` or ``in`` compares the id. Durations are
shown ``hh:mm:ss`` and filtered in that form or in seconds. Ids that the reference calls strings are strings.

Behaviour that the reference leaves open: there are no saved reports, so ``report_id`` (and ``report_type``) must be sent
and change nothing; without ``fields`` the fields come that the table marks as default; periods are at most 366 days.
"""
