"""Use cases, one verb each; they speak ports only."""
