"""Evaluation of policies on panels of tasks, with confidence intervals. Needs no torch."""
