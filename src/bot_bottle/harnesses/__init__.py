"""The programs that we do not trust, as data: one file per harness and one loader."""
