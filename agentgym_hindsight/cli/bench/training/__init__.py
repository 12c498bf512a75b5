"""``agh bench training-speed``: times of an update, times of sampling, memory. Needs the extra ``[train]``."""

from agentgym_hindsight.baselines.requirements import require_train

require_train("measuring training")
