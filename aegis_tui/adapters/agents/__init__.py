"""The kinds of agents that can be started, and how they are found."""
