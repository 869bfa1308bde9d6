"""Access to git through the `git` program. Only this package runs `git` or imports GitPython."""
