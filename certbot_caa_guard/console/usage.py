"""The one error that every command ends with when it was called wrongly."""


class UsageError(Exception):
    """The call or its input is wrong; the message says what to change."""
