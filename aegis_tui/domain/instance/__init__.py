"""Instances: one running agent each, from the plan to its end."""
