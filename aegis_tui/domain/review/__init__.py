"""Reviews: requests, findings and verdicts."""
