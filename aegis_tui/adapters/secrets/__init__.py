"""Secret scanners: programs of the person where there are some, else a library that comes along (FLOW-9)."""
