"""The store of the memory of failed attempts."""
