"""Ranks the definitions that a search of the code map hits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aegis_tui.domain.code_map.language import is_test
from aegis_tui.domain.code_map.text import words_of
from aegis_tui.ports.code_map import Located


def best_of(
    words: Sequence[str], matching: Iterable[Located], alike: Iterable[Located], tagged: Iterable[Located]
) -> list[Located]:
    """Return the definitions of all lists, each once, the best first; equal ones by path and line.

    A file with a word in its path counts more, a test or a variable less.

    Args:
        words: The words that were searched for, each once.
        matching: Definitions with such a word, the best first.
        alike: Definitions with a similarly spelled word, which count less, the best first.
        tagged: Definitions about which a model wrote such a word, which count as little, the best first.
    """
    ranked: dict[tuple[str, int], tuple[float, Located]] = {}
    for weight, hits in ((1.0, matching), (0.6, alike), (0.6, tagged)):
        for rank, item in enumerate(hits):
            in_path = len(set(words) & set(words_of(item.path)))
            score = weight / (rank + 8) * (1 + 0.25 * in_path) * (0.7 if is_test(item.path) else 1)
            score *= 0.6 if item.symbol.kind == "variable" else 1
            before, _ = ranked.get(item[:2], (0.0, item))
            ranked[item[:2]] = (before + score, item)
    return [item for _, item in sorted(ranked.values(), key=lambda pair: (-pair[0], pair[1].path, pair[1].at))]
