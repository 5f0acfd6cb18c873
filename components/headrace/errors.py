"""What every error that reaches a person must say."""

from __future__ import annotations


class HeadraceError(Exception):
    """Base of the errors that are meant for a person.

    The message says what was given, where, what is allowed, and what was left untouched. Commands
    print it as it is, without a traceback.
    """
