"""Models that need no hub: one that comes inside a Python package, and GGUF files.

>>> from agentgym_hindsight.baselines.models import MODELS, model_source
>>> list(MODELS), model_source("some/model")
(['smollm2'], 'some/model')
"""

from agentgym_hindsight.baselines.models.packaged import MODELS, PackagedModel, get_model
from agentgym_hindsight.baselines.models.sources import model_source

__all__ = ["MODELS", "PackagedModel", "get_model", "model_source"]
