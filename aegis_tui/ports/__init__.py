"""Ports: one file of protocols and values for each thing outside the process. The adapters implement them."""
