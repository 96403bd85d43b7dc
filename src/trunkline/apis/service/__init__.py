"""What every interface needs for a request: who asks, for which account, with which rights and limits, and its line in the
request log. No transport: the APIs use it by JSON-RPC, other endpoints by HTTP."""
