"""The composition root: it picks adapters for ports; what else still does is listed in pyproject.toml.

One module for each kind of program, so that a command imports the adapters that it uses and no others.
"""
