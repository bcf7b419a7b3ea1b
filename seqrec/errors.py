"""The one error that users see: a message without a stack trace."""


class UserError(Exception):
    """Something the user can mend. The message names the value, the file or setting, and the remedy.

    Jobs print it as one line and exit with status 1. Checks raise it before anything is written or switched.
    """


class FileError(UserError, OSError):
    """A file or folder that can't be read, written, listed or removed; `strerror` is the reason alone."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.strerror = reason
