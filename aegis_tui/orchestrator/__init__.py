"""What the hub runs: the course of a run from effect to effect; it speaks ports only."""
