"""The task templates, one module per theme."""
