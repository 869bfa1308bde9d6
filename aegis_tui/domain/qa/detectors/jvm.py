"""Java and Kotlin: the tests of the root project, by Maven or Gradle and their wrappers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from aegis_tui.domain.qa.detectors.base import Read, is_aside

_SOURCE = re.compile(
    r"(?:^|/)src/(?:test|integrationTest)/(?:java|kotlin|groovy|scala)/.+\.(?:java|kts?|groovy|scala)$"
)
_GRADLE = ("settings.gradle", "settings.gradle.kts", "build.gradle", "build.gradle.kts")


class MavenDetector:
    """Finds the tests of a Maven project, with the modules that its root names."""

    name = "maven"

    def wants(self, path: str) -> bool:
        """False for every file: the paths are enough."""
        return False

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield one `mvn test` of the root, without the network, by the wrapper `mvnw` if the root has it.

        Nothing without a pom.xml there, without tests under `src/test`, or if Gradle builds it too.
        """
        if "pom.xml" in files and not any(name in files for name in _GRADLE) and _has_tests(files):
            yield f"{'sh mvnw' if 'mvnw' in files else 'mvn'} -B -o test"


class GradleDetector:
    """Finds the tests of a Gradle build, with all its projects."""

    name = "gradle"

    def wants(self, path: str) -> bool:
        """False for every file: the paths are enough."""
        return False

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield one `gradle test` of the root, without the network, by the wrapper `gradlew` if the root has it.

        Nothing without Gradle's files there, without tests under `src/test`, or if Maven builds it too.
        """
        if any(name in files for name in _GRADLE) and "pom.xml" not in files and _has_tests(files):
            yield f"{'sh gradlew' if 'gradlew' in files else 'gradle'} --offline --no-daemon --continue test"


def _has_tests(files: Collection[str]) -> bool:
    return any(_SOURCE.search(path) and not is_aside(path) for path in files)
