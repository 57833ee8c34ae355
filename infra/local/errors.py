"""What goes wrong with the local stack, in words that a person can act upon."""


class StackError(RuntimeError):
    """The local stack cannot do what was asked; the message says why, and is shown without a traceback."""
