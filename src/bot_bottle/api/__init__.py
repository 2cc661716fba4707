"""The Python API: the same verbs as the command line, as typed functions."""
