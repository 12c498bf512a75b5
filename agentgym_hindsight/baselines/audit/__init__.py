"""The audit of credit: the true advantage of turns by Monte Carlo, and how well methods agree with it."""
