"""Code that an agent may begin with, in both backends. It only reads."""

from __future__ import annotations

__all__ = ["EXAMPLE_ACTIONS"]

EXAMPLE_ACTIONS = (
    "print(apis.api_docs.show_app_descriptions())",
    "passwords = apis.supervisor.show_account_passwords()\nprint(passwords)",
    "print(apis.api_docs.show_api_descriptions(app_name='supervisor'))",
    "print(apis.api_docs.show_api_descriptions(app_name='phone'))",
)
