"""What can go wrong while the stack is set up, started or stopped."""


class StackError(Exception):
    """A sentence for the person at the keyboard: what is wrong and what to do about it."""
