"""QA: what a check gave, on the result and on the base, and whether that opens the gate (FLOW-7). Pure."""
