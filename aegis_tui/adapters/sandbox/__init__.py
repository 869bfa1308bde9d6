"""Sandboxes: bubblewrap on Linux, and a report that says so where no sandbox is available."""
