"""The identity of a game: a hash of everything that affects how it is played, and of nothing else.

The file name, the folder and the walkthrough are not hashed. A game therefore keeps its id when it is written to disk
and read again, copied to another machine or listed in another order.
"""

from __future__ import annotations

from agentgym_hindsight.envs.alfworld.scene import Scene
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["scene_id", "task_of"]


def scene_id(scene: Scene) -> str:
    """The content id of a game: the ``task_id`` in every result."""
    return content_hash(
        scene.dialect,
        scene.task_text,
        scene.start,
        repr(tuple(scene.goal)),
        repr(sorted(repr(tuple(receptacle)) for receptacle in scene.receptacles)),
        repr(sorted(repr(tuple(thing)) for thing in scene.things)),
        repr(sorted(scene.can_contain)),
    )


def task_of(scene: Scene, split: str, locator: str, data: str) -> Task:
    """The task of a scene; ``data`` is the name of its library."""
    return Task(scene_id(scene), "alfworld", split, scene.goal.task_type, scene.task_text, locator, data)
