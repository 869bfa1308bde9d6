"""Tools of the built-in agent, and what a model meant by calling them."""
