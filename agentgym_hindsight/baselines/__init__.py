"""Policies, rollouts and evaluation; training methods and training, which need the extra ``[train]``."""
