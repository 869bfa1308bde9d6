"""Kinds of agents that can be dispatched, and how they are found."""
