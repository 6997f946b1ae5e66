"""The command line: one module per command, with its own options; see `main`."""
