"""The two exceptions that are messages to the user, not bugs."""


class UserError(Exception):
    """Bad input, configuration or environment; the message says what and what to do.

    `launch.py` prints it as one line without a traceback and exits with status 2.
    """


class Interrupted(Exception):
    """A signal stopped the run after it was saved; the message says which signal and where.

    `launch.py` prints it as one line and exits with status 75, "try again" in `sysexits.h`.
    """
