"""The command line, called in this process."""

import logging
import os

from absl import logging as absl_logging

from video2emg.cli.main import main


def launch(*flags: object) -> int:
    """The exit status of `video2emg FLAGS`; the loggers of this process stay as they were."""
    root, verbosity = logging.getLogger(), absl_logging.get_verbosity()
    level, handlers = root.level, list(root.handlers)
    try:
        return main([os.fspath(f) if isinstance(f, os.PathLike) else str(f) for f in flags])
    finally:
        absl_logging.set_verbosity(verbosity)
        root.handlers[:] = handlers
        root.setLevel(level)
