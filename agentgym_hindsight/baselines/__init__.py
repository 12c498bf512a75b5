"""Policies, rollouts, evaluation, training methods and training; only the last two need the extra ``[train]``."""
