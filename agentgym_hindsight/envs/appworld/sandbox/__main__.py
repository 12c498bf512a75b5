"""``python -m agentgym_hindsight.envs.appworld.sandbox``: test what isolates the agent's code on this machine."""

from __future__ import annotations

import sys

from agentgym_hindsight.envs.appworld.sandbox.limits import Limits
from agentgym_hindsight.envs.appworld.sandbox.sandbox import Sandbox
from agentgym_hindsight.envs.appworld.sandbox.strictness import STRONGEST

#: What must fail, and the code that tries it. The code takes the real ``os`` from a module that holds it.
_TRIALS = {
    "read a file": "random._os.open('/etc/passwd', 0)",
    "list files": "random._os.listdir('/usr')",
    "delete a file": "random._os.unlink('/no-such-folder/file')",
    "fork": "random._os.fork()",
    "run a program": "random._os.execv('/bin/sh', ['sh'])",
    "signal others": "random._os.kill(1, 0)",
    "take 10 GB": "x = bytes(10 * 2**30)",
    "loop without end": "while True: pass",
}


def main() -> int:
    print(f"{'mode':<18}{Sandbox(_no_call).mode}")
    # Without the audit hook: it would refuse before the kernel does.
    sandbox = Sandbox(_no_call, limits=Limits(seconds=1.0), without=["audit"])
    leaks = 0
    for name, code in _TRIALS.items():
        outcome = sandbox.run(f"import random\n{code}")
        result = outcome.error.splitlines()[-1] if outcome.error else "SUCCEEDED"
        refused = any(word in result for word in ("PermissionError", "MemoryError", "TimeoutError"))
        leaks += not refused
        print(f"{name:<18}{'refused' if refused else 'not refused by the kernel'}: {result}")
    sandbox.close()
    strong = sandbox.mode == STRONGEST and not leaks
    print("This is the strongest mode." if strong else f"Weaker than {STRONGEST}; see docs/sandbox.md.")
    return 0 if strong else 1


def _no_call(app: str, api: str, arguments: dict[str, object]) -> None:
    return None


if __name__ == "__main__":
    sys.exit(main())
