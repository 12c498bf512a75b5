"""Hand-written rollouts, shared by the tests of this folder."""

from __future__ import annotations

from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory

TASK = "Task: find the lamp."
HALL, ROOM = "You are in a hall.", "You are in a room."


def prompt(observation: str) -> str:
    """A prompt as a template gives it: with white space around it."""
    return f"\n{TASK}\n{observation}\n"


def turn(index: int, observation: str, response: str, feedback: str, reward: float = 0.0, **more: object) -> Step:
    fields = {"prompt": prompt(observation), "response": response, "reward": reward, **more}
    action = response.split("<action>")[-1].split("</action>")[0]
    return Step(index, observation, action, feedback, f"{feedback}\nActions: look", **fields)  # type: ignore[arg-type]


def rollout(*turns: Step, won: bool = False, **more: object) -> Trajectory:
    return Trajectory("lamp", goal=TASK, steps=turns, won=won, score=float(won), **more)  # type: ignore[arg-type]


WINNER = rollout(
    turn(0, HALL, "<think>East\nit is.</think>\n<action>go east</action>", ROOM),
    turn(1, ROOM, "<action>Take  Lamp</action>", "You took the lamp.", 10.0),
    won=True,
)
LOSER = rollout(
    turn(0, HALL, "<think>Hm.</think><action>look</action>", HALL, detail="You have seen it all."),
    turn(1, HALL, "<action>go west</action>", "There is a wall."),
    turn(2, "There is a wall.", "no tag here", ""),
)
SECOND_WINNER = rollout(
    turn(0, HALL, "<action>go east</action>", ROOM),
    turn(1, ROOM, "<action>take lamp</action>", "You took the lamp.", 10.0),
    won=True,
)
#: Two winners and a loser. The observation of the hall occurs four times, twice in one rollout.
GROUP = Group([WINNER, LOSER, SECOND_WINNER])
