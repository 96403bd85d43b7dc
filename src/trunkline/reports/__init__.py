"""Reports of the Data API about calls, legs, visits and other communications; read only."""
