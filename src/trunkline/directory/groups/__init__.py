"""Groups of employees: the list, and changes."""
