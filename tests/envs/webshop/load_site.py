"""Load test of a real server: concurrent visitors play whole episodes, each of which must earn 1.0.

python -m tests.envs.webshop.load_site --seconds 60 --browsers 50
"""

from __future__ import annotations

import argparse
import sys
import threading
import time

from agentgym_hindsight.envs.webshop.library import open_library
from agentgym_hindsight.envs.webshop.oracle import plan
from agentgym_hindsight.envs.webshop.pages import OPTION
from agentgym_hindsight.envs.webshop.session import Session
from tests.envs.webshop.site_server import fetcher, served
from tests.envs.webshop.visitor import Visitor

__all__ = ["main"]

Plan = list[tuple[str, tuple[str, str] | None]]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--browsers", type=int, default=50)
    parser.add_argument("--max-growth", type=float, default=25.0, help="MB the server may grow by after warming up")
    options = parser.parse_args(arguments)
    plans = _plans(100)
    with served("--set", "data=embedded", "--sessions", "200") as server:
        times: list[list[float]] = [[] for _ in range(options.browsers)]
        episodes, errors = [0] * options.browsers, [[] for _ in range(options.browsers)]
        end = time.monotonic() + options.seconds

        def shopping(number: int) -> None:
            fetch, turn = fetcher(server, times[number]), 0
            while time.monotonic() < end:
                goal = (number * 7 + turn * 13) % len(plans)
                turn += 1
                try:  # a new name each time, so that the server must remove old sessions
                    _episode(Visitor(fetch), f"/browser{number}-{turn}-fixed_{goal}", plans[goal])
                    episodes[number] += 1
                except Exception as error:
                    errors[number].append(f"browser {number}, goal {goal}: {error!r}")

        threads = [threading.Thread(target=shopping, args=(number,)) for number in range(options.browsers)]
        start_memory, began = server.memory(), time.monotonic()
        for thread in threads:
            thread.start()
        memory = []
        while any(thread.is_alive() for thread in threads):
            time.sleep(min(5.0, options.seconds / 6))
            memory.append(server.memory())
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
    done = sorted(value for each in times for value in each)
    wrong = [error for each in errors for error in each]
    for error in wrong[:10]:
        print("error:", error)
    at = {share: 1000 * done[min(len(done) - 1, int(share * len(done)))] for share in (0.5, 0.95, 0.99)}
    warm = memory[len(memory) // 4 :] or [start_memory]
    growth = warm[-1] - warm[0]
    print(f"{options.browsers} browsers, {took:.0f} s: {len(done)} requests ({len(done) / took:.0f} a second)")
    print(f"episodes, each with score 1.0: {sum(episodes)} · errors: {len(wrong)}")
    print(f"p50 {at[0.5]:.0f} ms · p95 {at[0.95]:.0f} ms · p99 {at[0.99]:.0f} ms")
    print(
        f"memory of the server: {start_memory:.0f} MB before, "
        f"{warm[0]:.0f} MB warm, {warm[-1]:.0f} MB at the end ({growth:+.1f} MB)"
    )
    return int(bool(wrong) or not sum(episodes) or growth > options.max_growth)


def _plans(count: int) -> list[Plan]:
    """The oracle's actions for each goal, with axis and value of options."""
    shop = open_library("embedded").shop
    plans = []
    for goal in shop.goals[:count]:
        session, steps = Session(shop, goal), []
        for action in plan(session)[0]:
            target = session.targets.get(action[len("click[") : -1])
            option = target is not None and target.role == OPTION
            steps.append((action, (target.axis, target.value) if target is not None and option else None))
            session.act(action)
        plans.append(steps)
    return plans


def _episode(visitor: Visitor, address: str, steps: Plan) -> None:
    visitor.go(address)
    for action, choice in steps:
        visitor.do(action, choice)
        if visitor.status != 200:
            raise AssertionError(f"{visitor.address} answered {visitor.status}")
    score = visitor.page.by_id.get("reward", "").split()
    if not score or score[-1] != "1.0":
        raise AssertionError(f"the score is {score[-1:]}")


if __name__ == "__main__":
    sys.exit(main())
