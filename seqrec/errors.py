"""The one error that users see: a message without a stack trace."""


class UserError(Exception):
    """Something the user can mend. The message names the value, the place and the remedy.

    Jobs print it as one line and exit with status 1; nothing has been written or swapped when it is raised.
    """
