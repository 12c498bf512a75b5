"""Where an agent's code runs: a worker process without files, network, other processes or anything of ours.

>>> with_clock = Sandbox(lambda app, api, arguments: "12:00", {"clock": ["now"]})
>>> with_clock.run("print(apis.clock.now())").output
'12:00\\n'
>>> print(with_clock.run("apis.clok.now()").error.splitlines()[-1])
AttributeError: There is no app 'clok'; did you mean 'clock'? there are: clock
>>> with_clock.close()

``docs/sandbox.md`` says what the boundary is and is not; ``python -m agentgym_hindsight.envs.appworld.sandbox`` tries
it out on this machine.
"""

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.sandbox.box import WALLS, Sandbox
from agentgym_hindsight.envs.appworld.sandbox.limits import KINDS, Limits, Outcome

__all__ = ["KINDS", "WALLS", "ApiFailure", "Limits", "Outcome", "Sandbox"]
