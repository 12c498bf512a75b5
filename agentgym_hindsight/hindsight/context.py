"""The privileged context that a teacher gets at every step of a finished group.

The teacher's prompt is the student's prompt, then the context, then one closing line. A context consists of sections,
each with a title and a body. Titles, order and formats are those of SERL's release: ``compose(SERL_MODES[mode], group,
options=ContextOptions.released())`` gives exactly the release's text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.analyses import analysis_text
from agentgym_hindsight.hindsight.anchor_context import candidate_block, feedback_lines
from agentgym_hindsight.hindsight.anchors import cluster
from agentgym_hindsight.hindsight.batched_group import BatchedGroup, Positions
from agentgym_hindsight.hindsight.budget import Budget
from agentgym_hindsight.hindsight.judge_prompt import useful_answer
from agentgym_hindsight.hindsight.render import demonstration, immediate_text, next_text
from agentgym_hindsight.hindsight.resolve import ReferenceSource, reference_for
from agentgym_hindsight.hindsight.spec import SERL_MODES, WRITTEN, ContextOptions, ContextSpec
from agentgym_hindsight.hindsight.trajectory import Group

__all__ = [
    "SERL_MODES",
    "Budget",
    "ContextOptions",
    "ContextSpec",
    "Section",
    "TeacherContext",
    "compose",
    "written_context",
]

_CANDIDATES = "candidates"

#: Exactly as in the release, including the lower-case "n": teachers are sensitive to the wording.
TITLES: Mapping[str, str] = {
    "success": "Successful trajectory in the same task, if any:",
    "current": "Whole trajectory of the current attempt:",  # ours: in the release only the judge sees it
    "future": "Observed future trajectory of the current step:",
    "immediate": "Immediate feedback from the current step:",
    "next": "next observation after the current step:",
    "judge": "Trajectory Judge:",
    "judge:success": "Trajectory Judge:",
    _CANDIDATES: "Candidate actions tried from this state:",
    # Texts that a model wrote (ours); see :mod:`~.analyses`.
    "hint": "Hint for the current step:",
    "diagnosis": "Diagnosis of the current step:",
    "reflection": "Reflection on the attempt:",
    "playbook": "Playbook:",
    "skill": "Skills for the task:",
}
_CLOSING = "Correctly solve the current task."


@dataclass(frozen=True, slots=True)
class Section:
    """One titled piece of privileged text.

    ``source`` is a source of the spec, "candidates" at an anchor, or the kind of a text that a model wrote ("hint").
    """

    source: str
    body: str

    def __post_init__(self) -> None:
        if self.source not in TITLES:
            raise UnknownNameError("section of a context", self.source, TITLES)

    @property
    def title(self) -> str:
        """The heading of the section."""
        return TITLES[self.source]

    def __str__(self) -> str:
        return f"{self.title}\n{self.body}"


@dataclass(frozen=True, slots=True)
class TeacherContext:
    """The privileged sections of one step: ``uncut`` before and ``sections`` after the budget was applied."""

    sections: tuple[Section, ...]
    uncut: tuple[Section, ...]
    budget: Budget | None = None

    @property
    def text(self) -> str:
        """The sections, separated by blank lines."""
        return "\n\n".join(map(str, self.sections))

    @property
    def truncated(self) -> bool:
        """Whether the budget removed text. False for ``right_raw``, which cuts in :meth:`prompt`."""
        return self.sections != self.uncut

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of the sections."""
        return tuple(section.source for section in self.sections)

    def prompt(self, original: str, limit: int | None = None) -> str:
        """The teacher's prompt for a student's prompt. Outer white space is stripped, as in the release.

        ``limit`` bounds the whole prompt: the bodies are cut further until it fits. Other text is never cut.
        """
        original = original.strip()
        if limit is None:
            return self._cut_right(_prompt(original, self.sections))
        budget = self.budget or Budget(limit)
        if budget.truncation == "right_raw":
            return replace(budget, tokens=min(limit, budget.tokens)).cut_right(_prompt(original, self.uncut))
        available = limit - budget.measure(_prompt(original, _with_bodies(self.uncut, [""] * len(self.uncut))))
        available = min(available, budget.tokens) if self.budget is not None else available
        bodies = [section.body for section in self.uncut]
        while True:
            shown = budget.share(bodies, max(available, 0))
            prompt = _prompt(original, _with_bodies(self.uncut, shown))
            # The token count of the whole differs by a token or two from the sum of its parts.
            excess = budget.measure(prompt) - limit
            if excess <= 0 or available <= 0:
                return prompt
            available -= excess

    def messages(self, chat: Sequence[Mapping[str, str]], limit: int | None = None) -> list[dict[str, str]]:
        """The same for a chat: the last message is replaced by the prompt, earlier messages stay.

        >>> context = TeacherContext((section := Section("immediate", "It is dark."),), (section,))
        >>> context.messages([{"role": "user", "content": "Go."}])[-1]["content"]
        'Go.\\n\\nImmediate feedback from the current step:\\nIt is dark.\\n\\nCorrectly solve the current task.\\n'
        """
        original = next((message["content"] for message in reversed(chat) if message["content"].strip()), "")
        return [*map(dict, chat[:-1]), {"role": "user", "content": self.prompt(original, limit)}]

    def _cut_right(self, prompt: str) -> str:
        if self.budget is None or self.budget.truncation != "right_raw":
            return prompt
        return self.budget.cut_right(prompt)


def written_context(sections: Sequence[Section], budget: Budget | None = None) -> TeacherContext | None:
    """A context of given sections, cut to the budget; ``None`` if no section has a text.

    >>> context = written_context([Section("hint", "Open the fridge.")])
    >>> print(context.prompt("You are in a kitchen."), end="")
    You are in a kitchen.
    <BLANKLINE>
    Hint for the current step:
    Open the fridge.
    <BLANKLINE>
    Correctly solve the current task.
    """
    uncut = tuple(replace(section, body=section.body.strip()) for section in sections if section.body.strip())
    if not uncut:
        return None
    return TeacherContext(uncut if budget is None else _apply_budget(uncut, budget), uncut, budget)


Contexts = tuple[tuple["TeacherContext | None", ...], ...]


def compose(
    spec: ContextSpec | str,
    group: Group,
    *,
    options: ContextOptions | None = None,
    budget: Budget | None = None,
    references: ReferenceSource | None = None,
    judgements: Sequence[str | None] | None = None,
    positions: Positions | None = None,
) -> Contexts:
    """The teacher's context of every step of every member, in the members' order. ``None`` means no context.

    ``references`` provides a successful rollout if no other member won (ours; the release uses only the group).
    ``judgements`` are the judge's texts, one per member, for specs that name a judge. Hints, diagnoses and the like are
    those in the members' ``analyses``.

    ``positions`` are those of every turn of every member in a batch that was filled with copies and reordered, as the
    release does before it makes contexts (:class:`~.batched_group.BatchedGroup`).

    >>> from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
    >>> group = Group([Trajectory("1f", steps=(Step(0, "A dark room.", "look", "It is dark.", "It is dark."),))])
    >>> print(compose("immediate", group)[0][0].prompt("You are in a dark room."), end="")
    You are in a dark room.
    <BLANKLINE>
    Immediate feedback from the current step:
    It is dark.
    <BLANKLINE>
    Correctly solve the current task.
    """
    spec = ContextSpec.parse(spec) if isinstance(spec, str) else spec
    options = options or ContextOptions()
    if spec.needs_judge and judgements is None:
        raise UsageError(f"Expected the judge's texts for {str(spec)!r}, got none; try judgements=[…], one per member.")
    if judgements is not None and len(judgements) != len(group):
        raise UsageError(
            f"Expected one judgement per member ({len(group)}), got {len(judgements)}; try None where there is none."
        )
    batched = BatchedGroup.of(group, positions)
    successes = _success_texts(batched, references, options)
    if spec.where == "anchor":
        composed = _compose_anchors(spec, batched, options, successes)
    else:
        composed = _compose_steps(spec, batched, options, successes, judgements)
    contexts: dict[tuple[Section, ...], TeacherContext | None] = {(): None}  # equal sections share one context
    # A successful rollout appears in the context of every step: cache its token count.
    cached_budget = None if budget is None else replace(budget, count=lru_cache(maxsize=64)(budget.measure))
    for sections in (sections for member in composed for sections in member):
        if sections not in contexts:
            shown = sections if cached_budget is None else _apply_budget(sections, cached_budget)
            contexts[sections] = TeacherContext(shown, sections, budget)
    return tuple(tuple(contexts[sections] for sections in member) for member in composed)


_Sections = tuple[Section, ...]


def _compose_steps(
    spec: ContextSpec,
    batched: BatchedGroup,
    options: ContextOptions,
    successes: Sequence[str],
    judgements: Sequence[str | None] | None,
) -> list[list[_Sections]]:
    composed = []
    analysed = [kind for kind in WRITTEN if kind in spec.sources]
    for member, trajectory in enumerate(batched.group):
        rollout_bodies = {"success": successes[member]}
        if "current" in spec.sources:
            rollout_bodies["current"] = demonstration(batched.steps[member], options, options.max_traj_context_steps)
        if judgements is not None:
            rollout_bodies["judge"] = rollout_bodies["judge:success"] = useful_answer(judgements[member] or "") or ""
        contexts = []
        for place, step in enumerate(trajectory.steps):
            bodies = {
                **rollout_bodies,
                "immediate": immediate_text(step, options),
                "next": next_text(trajectory, place),
            }
            for kind in analysed:
                bodies[kind] = analysis_text(trajectory, kind, place)
            if "future" in spec.sources:
                future = batched.future(member, place)
                bodies["future"] = demonstration(future, options, options.max_future_context_steps)
            sources = next((parts for parts in spec.alternatives if all(bodies[source] for source in parts)), ())
            contexts.append(tuple(Section(source, bodies[source].strip()) for source in sources))
        composed.append(contexts)
    return composed


def _compose_anchors(
    spec: ContextSpec, batched: BatchedGroup, options: ContextOptions, successes: Sequence[str]
) -> list[list[_Sections]]:
    """The anchor's block, then the successful rollout if there is one: at an anchor it is never required."""
    composed: list[list[_Sections]] = [[()] * len(trajectory) for trajectory in batched.group]
    anchors = cluster(batched.rows, options.anchor, options.anchor_ratio, prompts=options.prompts_as_observations)
    for anchor in anchors:
        blocks: dict[frozenset[str], Section] = {}
        for row in anchor.rows:
            sources = _sources_at_anchor(spec, bool(successes[row.member]))
            if sources not in blocks:
                blocks[sources] = (
                    Section("immediate", feedback_lines(anchor.rows, options))
                    if spec.alternatives == (("immediate",),)
                    else Section(_CANDIDATES, candidate_block(batched, anchor.rows, sources, options).strip())
                )
            sections = [blocks[sources]]
            if "success" in spec.sources:
                sections.append(Section("success", successes[row.member]))
            composed[row.member][row.place] = tuple(section for section in sections if section.body)
    return composed


def _sources_at_anchor(spec: ContextSpec, success: bool) -> frozenset[str]:
    """The sources in the block: the first alternative that can be composed, else the last one.

    Only an alternative with "success" can fail: it needs a successful rollout.
    """
    for parts in spec.alternatives:
        if success or "success" not in parts:
            return frozenset(parts)
    return frozenset(spec.alternatives[-1])


def _success_texts(
    batched: BatchedGroup, references: ReferenceSource | None, options: ContextOptions
) -> tuple[str, ...]:
    """The successful rollout that each member is shown; "" if there is none."""
    allow_own = not options.dont_reprompt_on_self_success
    group, texts = batched.reordered, [""] * len(batched.group)
    for number, member in enumerate(batched.order):
        success, _ = reference_for(group, number, references, own_success=allow_own)
        if success is not None:
            own = (batched.steps[other] for other, each in enumerate(batched.group) if each is success)
            steps = next(own, success.steps)
            texts[member] = demonstration(steps, options, options.max_traj_context_steps).strip()
    return tuple(texts)


def _apply_budget(sections: _Sections, budget: Budget) -> _Sections:
    if budget.truncation == "right_raw":
        return sections
    return _with_bodies(sections, budget.share([section.body for section in sections]))


def _with_bodies(sections: _Sections, bodies: Sequence[str]) -> _Sections:
    return tuple(replace(section, body=body) for section, body in zip(sections, bodies, strict=True))


def _prompt(original: str, sections: _Sections) -> str:
    context = "\n\n".join(map(str, sections))
    return f"{original}\n\n{context}\n\n{_CLOSING}\n"
