"""The one command of video2emg.

    python launch.py --config configs/v2emg.py --workdir runs/v2emg            # the main job
    python launch.py --config configs/v2emg.py:debug --workdir runs/debug      # under a minute
    python launch.py --config configs/v2emg.py --workdir runs/seeds --sweep    # all of its sweep()

The main job builds the dataset if it is missing, trains (or resumes), evaluates the model that was
best on validation once on the test subjects, and writes results.json and figures to the workdir.
"""

import errno
import runpy
import sys

from absl import app, flags, logging
from ml_collections import config_flags

from video2emg.errors import UserError

_CONFIG = config_flags.DEFINE_config_file("config", None, "Configuration file, with :preset.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/v2emg", "Where everything of this run goes.")
_SWEEP = flags.DEFINE_bool("sweep", False, "Run every variant that the config's sweep() yields.")


def main(argv: list[str]) -> None:
    """Dispatches; errors of the user end in one line and status 2."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}; see --help")
    if _CONFIG.value is None:
        raise app.UsageError("say what to run, e.g. --config configs/v2emg.py")
    logging.set_verbosity(logging.ERROR)
    # Imported late: `--help` and mistakes should not wait for jax.
    from video2emg import experiment

    try:
        if _SWEEP.value:
            experiment.sweep(_CONFIG.value, _sweep_of("config"), _WORKDIR.value)
        else:
            experiment.run(_CONFIG.value, _WORKDIR.value)
    except UserError as error:
        sys.exit(_fail(str(error)))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.exit(_fail(f"disk full while writing {error.filename or _WORKDIR.value}: free some "
                       "room and run the same command again, it resumes"))  # fmt: skip
    except KeyboardInterrupt:
        sys.exit(_fail("interrupted; the same command resumes from the last checkpoint", 130))


def _sweep_of(flag: str) -> list[dict]:
    """The overrides yielded by the `sweep()` beside the config's `get_config`."""
    path = config_flags.get_config_filename(flags.FLAGS[flag]).partition(":")[0]
    module = runpy.run_path(path)
    if "sweep" not in module:
        raise UserError(f"{path} has no sweep()")
    return list(module["sweep"]())


def _fail(message: str, status: int = 2) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


def _parse(argv: list[str]) -> list[str]:
    """Parses as absl does, but a config key that does not exist is one line and no traceback."""
    try:
        return app.parse_flags_with_usage(argv)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = error.args[0] if error.args else error
        sys.exit(_fail("--config: " + " ".join(str(message).split())))


if __name__ == "__main__":
    app.run(main, flags_parser=_parse)
