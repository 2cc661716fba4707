"""One file per command, and the wiring."""
