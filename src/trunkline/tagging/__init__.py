"""What people mark communications with: tags, and the sales that came of them.

Tags stand in the communication's own row, as reports show them; each change is noted in ``tag_history``. A call
that still lives belongs to its switch, which writes its row: its tags are changed there.
"""
