"""Lists of mobile networks."""
