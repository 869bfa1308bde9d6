"""Doubles and fixtures that ship: they run the demo and the tests."""
