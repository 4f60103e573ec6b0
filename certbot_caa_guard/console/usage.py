"""The errors that a command ends with, when it was called wrongly or cannot be done now."""


class UsageError(Exception):
    """The call or its input is wrong; the message says what to change."""


class NotFoundOutError(Exception):
    """The call may be right, but nothing can be found out now; the message says why."""
