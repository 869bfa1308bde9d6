"""Commands about comments on lines of a piece, in the order in which they make sense; their output is frozen."""

COMMENTED: tuple[tuple[str, ...], ...] = (
    ("review", "comment", "alpha", "src/a/x.py:3", "why?"),
    ("review", "comment", "alpha", "src/a/x.py:1", "rename it"),
    ("review", "comments"),
    ("review", "discard", "alpha", "2"),
    ("review", "send", "alpha"),
)
