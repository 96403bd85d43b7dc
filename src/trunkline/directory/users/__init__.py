"""Users as the Call Center API has them: an employee, the log-in of this employee, and the settings as an agent."""
