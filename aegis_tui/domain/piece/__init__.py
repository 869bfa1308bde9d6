"""Pieces: what one worker hands in, and how pieces become one tree."""
