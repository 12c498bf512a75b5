"""A sandbox that runs the agent's code in a worker process without files, network or other processes.

>>> with_clock = Sandbox(lambda app, api, arguments: "12:00", {"clock": ["now"]})
>>> with_clock.run("print(apis.clock.now())").output
'12:00\\n'
>>> print(with_clock.run("apis.clok.now()").error.splitlines()[-1])
AttributeError: There is no app 'clok'; did you mean 'clock'? there are: clock
>>> with_clock.close()

``docs/sandbox.md`` describes what the sandbox guarantees and what it does not.
``python -m agentgym_hindsight.envs.appworld.sandbox`` tests it on this machine.
"""

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.sandbox.limits import KINDS, Limits, Outcome
from agentgym_hindsight.envs.appworld.sandbox.sandbox import LAYERS, Sandbox
from agentgym_hindsight.envs.appworld.sandbox.strictness import SandboxWarning

__all__ = ["KINDS", "LAYERS", "ApiFailure", "Limits", "Outcome", "Sandbox", "SandboxWarning"]
