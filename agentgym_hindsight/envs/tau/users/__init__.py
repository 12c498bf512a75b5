"""Who speaks to the agent: a script, a model, a function, or a person."""

from agentgym_hindsight.envs.tau.users.base import STOP, User
from agentgym_hindsight.envs.tau.users.opening import make_user
from agentgym_hindsight.envs.tau.users.scripted import ScriptedUser

__all__ = ["STOP", "ScriptedUser", "User", "make_user"]
