"""The dashboard and its API: a process of its own that holds no key of the keeper (design, Processes)."""
