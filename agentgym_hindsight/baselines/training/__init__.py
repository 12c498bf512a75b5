"""Training on TRL. Importing any module of this package needs the extra ``[train]``."""

from agentgym_hindsight.baselines.requirements import require_train

require_train("training")
