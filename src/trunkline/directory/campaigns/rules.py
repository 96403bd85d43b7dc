"""What a campaign may be: the words and limits, for every interface. Conditions: :mod:`.conditions`."""

from __future__ import annotations

RESERVATION_TIMES = ("5m", "10m", "15m", "20m", "30m", "1h", "2h", "4h", "8h", "1d", "1w")
STATUSES = ("active", "inactive")
COST_OPERATORS = ("wo_changes", "multiply", "divide")

MAX_COUNT = 1_000_000
"""Of numbers, and of visits, of dynamic call tracking."""

MAX_COST = 10**13
MAX_RATIO = 10**7
