"""Errors that a user can mend: one clear sentence that says what is wrong and how to put it right."""


class ToccataError(Exception):
    """Base of every error that toccata raises on purpose."""


class InputError(ToccataError):
    """An argument, prompt or file that the user gave cannot be used (exit code 2)."""


class WeightsError(ToccataError):
    """Model weights are missing, truncated, altered or of another model (exit code 2)."""


class OutputError(ToccataError):
    """The result cannot be written where the user asked (exit code 2)."""
