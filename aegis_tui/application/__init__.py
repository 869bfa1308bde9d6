"""Use cases that the command line and the dashboard share, one verb each; they speak ports only."""
