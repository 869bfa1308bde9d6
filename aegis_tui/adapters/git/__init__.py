"""Git by its own program: the only place that runs `git` or imports GitPython."""
