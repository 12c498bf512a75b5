"""Record replies of the genuine engine, so that parity can be tested without it.

    python -m tests.parity.frozen_alfworld

rewrites ``frozen_alfworld.json`` with the installed alfworld package, its domain and its grammar. The houses are
hand-made; the file has no content of the official games.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from hashlib import blake2b
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from random import Random

from agentgym_hindsight.envs.alfworld.fuzz import commands_for
from agentgym_hindsight.envs.alfworld.gamewriter import scene_to_game
from agentgym_hindsight.envs.alfworld.genuine import GenuinePlay
from agentgym_hindsight.envs.alfworld.native import House, Play
from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES, Goal, Scene
from tests.envs.alfworld.scenes import strange_kitchen

FILE = Path(__file__).with_suffix(".json")
_TURNS = 70
_TARGETS = ("Desk", "", "CounterTop", "CounterTop", "CounterTop", "Shelf")

#: One turn: the command, the text, whether the game is won, a digest of the ordered admissible commands.
Turn = tuple[str, str, bool, str]


def scenes() -> Iterator[Scene]:
    """The recorded houses, one per task type."""
    for number, task_type in enumerate(TASK_TYPES):
        lit = task_type == "look_at_obj_in_light"
        goal = Goal(task_type, "Mug" if lit else "Apple", "" if lit else _TARGETS[number], "DeskLamp" if lit else "")
        yield strange_kitchen(goal, start=5 if number == 1 else 0)


def digest(admissible: tuple[str, ...]) -> str:
    """A digest of an ordered list of commands."""
    return blake2b("\n".join(admissible).encode(), digest_size=6).hexdigest()


def _record(scene: Scene, path: Path, seed: int) -> list[Turn]:
    guide, random = Play(House(scene)), Random(seed)
    with GenuinePlay(path) as genuine:
        genuine.reset()
        turns = [("", genuine.observation, genuine.won, digest(genuine.admissible))]
        for _ in range(_TURNS):
            command = commands_for(guide, random, None, [])
            guide.step(command)
            genuine.step(command)
            turns.append((command, genuine.observation, genuine.won, digest(genuine.admissible)))
    return turns


def main() -> None:
    """Play every house in the genuine engine and record its replies."""
    package = find_spec("alfworld")
    assert package is not None and package.origin is not None, "pip install alfworld first"  # noqa: PT018
    rules = Path(package.origin).parent / "data"
    games = []
    with tempfile.TemporaryDirectory() as folder:
        for seed, scene in enumerate(scenes()):
            game = scene_to_game(scene)
            game["pddl_domain"] = (rules / "alfred.pddl").read_text(encoding="utf-8")
            grammar = (rules / "alfred.twl2").read_text(encoding="utf-8")
            game["grammar"] = grammar.replace("UNKNOWN GOAL.", scene.task_text)
            path = Path(folder) / "game.tw-pddl"
            path.write_text(json.dumps(game), encoding="utf-8")
            games.append(_record(scene, path, seed))
    engine = {name: version(name) for name in ("alfworld", "textworld", "fast-downward-textworld")}
    lines = ",\n".join("[\n" + ",\n".join(json.dumps(turn) for turn in turns) + "\n]" for turns in games)
    FILE.write_text(f'{{"engine": {json.dumps(engine)},\n"games": [{lines}]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
