"""Sandboxes: bubblewrap on Linux, and the honest word where there is none."""
