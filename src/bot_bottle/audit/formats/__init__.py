"""Export formats. A format is one module of this package and one line in `registry`."""
