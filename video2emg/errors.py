"""The one exception type that is a message to the user rather than a bug."""


class UserError(Exception):
    """Bad input, configuration or environment; the message says what and what to do.

    `launch.py` prints it as one line without a traceback and exits with status 2.
    """
