"""Ruby: RSpec, Rails or rake's test task, through bundler where there is a Gemfile."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from aegis_tui.domain.qa.detectors.base import Read, is_aside

_TEST_TASK = re.compile(r"\b(?:Rake::TestTask|Minitest::TestTask)\b")
_RSPEC = re.compile(r"\brspec\b")


class RubyDetector:
    """Finds the tests of the root's gem or application."""

    name = "ruby"

    def wants(self, path: str) -> bool:
        """Return whether the path is the Gemfile, the Rakefile or a gemspec of the root."""
        return path in ("Gemfile", "Rakefile") or (path.endswith(".gemspec") and "/" not in path)

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield RSpec where specs are and something names it, and then the tests of Rails, or of rake's test task.

        The latter two only where there are tests below `test`. Each runs through bundler if the root has a Gemfile, but
        Rails.
        """
        named = [path for path in files if self.wants(path)]
        bundler = "bundle exec " if "Gemfile" in files else ""
        specs = any(re.search(r"(?:^|/)spec/.+_spec\.rb$", path) and not is_aside(path) for path in files)
        if specs and (".rspec" in files or any(_RSPEC.search(read(path)) for path in named)):
            yield f"{bundler}rspec"
        if not any(re.search(r"^test/.*(?:_test|/test_\w+)\.rb$", path) for path in files):
            return
        if "bin/rails" in files:
            yield "ruby bin/rails test"
        elif _TEST_TASK.search(read("Rakefile") if "Rakefile" in files else ""):
            yield f"{bundler}rake test"
