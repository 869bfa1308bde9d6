"""The composition root: the only package that chooses adapters for ports.

One module for each kind of program, so that a command imports the adapters that it uses and no others.
"""
