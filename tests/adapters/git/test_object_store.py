from __future__ import annotations

from aegis_tui.adapters.git.object_store import SizedCache


def test_what_is_kept_in_memory_is_limited_by_its_size() -> None:
    cache: SizedCache[str] = SizedCache(10)
    for name in ("a", "b", "c"):
        cache.put(name, name, 4)
    assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache)) == (None, "b", "c", 2)
    cache.put("b", "B", 5)
    assert (cache.get("b"), cache.get("c"), len(cache)) == ("B", "c", 2)
    cache.put("huge", "h", 99)
    assert (cache.get("huge"), len(cache)) == ("h", 1)
