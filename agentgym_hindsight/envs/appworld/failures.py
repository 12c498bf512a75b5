"""The exception of a refused API call: a status and a message, as in HTTP."""

from __future__ import annotations

__all__ = ["ApiFailure"]


class ApiFailure(Exception):
    """A refused API call.

    >>> failure = ApiFailure(404, "There is no note 7.")
    >>> failure.status, failure.message, str(failure)
    (404, 'There is no note 7.', 'Response status code is 404: There is no note 7.')
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status, self.message = status, message

    def __str__(self) -> str:
        return f"Response status code is {self.status}: {self.message}"
