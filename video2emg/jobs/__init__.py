"""One module per job; each has `run(config, workdir, options) -> results`."""
