"""The error of the local stack."""


class StackError(Exception):
    """Its message tells the user what is wrong and what to do."""
