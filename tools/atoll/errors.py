# SPDX-License-Identifier: Apache-2.0
"""The one error type of the tool: what is wrong, and what to do about it."""


class ToolError(Exception):
    """A mistake that the user can mend. `hint` says how; `status` overrides the exit status."""

    def __init__(self, message, hint=None, status=None):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status

    def __str__(self):
        return f"{self.message}\n  {self.hint}" if self.hint else self.message
