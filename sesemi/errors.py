"""The one error that a user caused and can cure."""


class InputError(ValueError):
    """Bad arguments, data or folder: scripts print it as one line and exit with code 2.

    The message says what was wrong, what was received and what to do.
    """
