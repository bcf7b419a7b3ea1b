"""The one error that users see: a message without a stack trace."""


class UserError(Exception):
    """Something the user can mend. The message names the value, the place and the remedy.

    Jobs print it as one line and exit with status 1; nothing has been written or swapped when it is raised.
    """


class FileError(UserError, OSError):
    """A file or folder that can't be read, written, listed or removed; `strerror` is the reason alone."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.strerror = reason
