"""Sample rollouts, with each token in the colour of its weight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from agentgym_hindsight.baselines.report.plausible import number
from agentgym_hindsight.baselines.report.runs import Run
from agentgym_hindsight.baselines.report.scales import figure
from agentgym_hindsight.markup import Html, join, tag

__all__ = ["chosen_samples", "colour_key", "colour_scale", "rollout_html", "token_html"]

#: The number of shades above 1 and below 1, as in the style sheet.
_SHADES = 5
_MAX_CHARACTERS = 20_000
#: Limits for files that no training wrote.
_MOST_TURNS, _MOST_TOKENS, _MOST_ANALYSES = 300, 20_000, 20


def chosen_samples(run: Run, limit: int = 4) -> list[Mapping[str, Any]]:
    """Up to ``limit`` samples: of the last and of the first update, one that won and one that lost."""
    updates = sorted({int(sample["update"]) for sample in run.samples})
    chosen: list[Mapping[str, Any]] = []
    for update in dict.fromkeys([*updates[-1:], *updates[:1]]):
        for won in (True, False):
            matching = (s for s in run.samples if s["update"] == update and bool(s.get("won")) is won)
            chosen += [sample for sample in (next(matching, None),) if sample is not None]
    return chosen[:limit]


def colour_scale(samples: Sequence[Mapping[str, Any]]) -> float:
    """The difference from weight 1 that has the strongest colour; 0 if all weights are 1.

    It is exceeded by one in twenty of the weights that are not 1, so that a few extreme weights do not hide the others.
    """
    weights = [value for sample in samples for step in sample["steps"] for value in _numbers(step.get("weights"))]
    differences = sorted(abs(value - 1.0) for value in weights if value is not None and value != 1.0)
    return differences[(len(differences) * 19) // 20] if differences else 0.0


def colour_key(scale: float) -> Html:
    """The key to the colours, with the weights that they stand for."""
    touch = " Touch or point at a token for its weight and gap."
    if not scale:
        return tag("p", "All weights are 1, so no token is coloured.", touch, class_="soft key")
    words = (
        (f"{figure(1 - scale)} or less", "down5"),
        (figure(1 - 0.4 * scale), "down2"),
        ("1", ""),
        (figure(1 + 0.4 * scale), "up2"),
        (f"{figure(1 + scale)} or more", "up5"),
    )
    key = [tag("span", word, class_=f"w {shade}") for word, shade in words]
    return tag("p", "Weight: ", *key, " on a linear scale, the same in all rollouts.", touch, class_="soft key")


def rollout_html(sample: Mapping[str, Any], scale: float, address: str = "") -> Html:
    """One rollout as a closed details element with its turns in order; ``scale`` is that of :func:`colour_scale`.

    ``address`` is its permanent link in ``agh view``.
    """
    steps = sample["steps"]
    won = bool(sample.get("won"))
    facts = [f"update {sample['update']}", f"{len(steps)} turns"]
    if (total := number(sample, "return")) is not None:
        facts.append(f"return {figure(total)}")
    if sample.get("sibling") is not None:
        facts.append(f"sibling {_short(sample['sibling'], 20)}")
    return tag(
        "details",
        tag(
            "summary",
            tag("span", "won" if won else "lost", class_=f"chip {'good' if won else 'bad'}"),
            tag("b", _short(sample.get("goal") or "no goal recorded", 300)),
            tag("span", " · ".join(facts), class_="soft"),
        ),
        tag(
            "p",
            f"Task {_short(sample.get('task_id', '?'), 100)}.",
            tag("span", " In the viewer: ", tag("code", address)) if address else "",
            class_="soft",
        ),
        *_analyses(sample.get("analyses")),
        tag("ol", *(_turn(step, scale) for step in steps[:_MOST_TURNS]), class_="turns"),
        tag("p", f"… {len(steps) - _MOST_TURNS} more turns", class_="soft") if len(steps) > _MOST_TURNS else "",
        class_="rollout",
    )


def _turn(step: Mapping[str, Any], scale: float) -> Html:
    advantage = number(step, "advantage")
    tokens = step.get("tokens")
    valid = step.get("action_valid", True)
    parts: list[Html] = [
        tag(
            "p",
            "advantage ",
            tag("b", "not recorded" if advantage is None else figure(advantage)),
            "" if valid else tag("span", "invalid action", class_="chip bad"),
            class_="soft",
        ),
        _details("Prompt", step.get("prompt")),
        tag(
            "pre",
            token_html(tokens if isinstance(tokens, list) else [], step.get("weights"), step.get("gaps"), scale),
            class_="response",
        ),
    ]
    if step.get("feedback"):
        parts.append(tag("p", tag("b", "Feedback "), _short(step["feedback"], 2000), class_="feedback"))
    if step.get("context"):
        parts.append(_details("Teacher's context", step["context"]))
    parts += _analyses(step.get("analyses"))
    return tag("li", *parts)


def _analyses(given: object) -> list[Html]:
    """What models wrote about the rollout or the turn, each closed."""
    if not isinstance(given, list):
        return []
    shown = [each for each in given[:_MOST_ANALYSES] if isinstance(each, Mapping)]
    return [
        _details(f"{_short(each.get('kind', 'analysis'), 20)} by {_short(each.get('analyser') or 'a model', 60)}", text)
        for each in shown
        if (text := each.get("text"))
    ]


def _details(name: str, value: object) -> Html:
    if not value:
        return Html("")
    return tag("details", tag("summary", name), tag("pre", _short(value, _MAX_CHARACTERS)), class_="fold")


def token_html(tokens: Sequence[object], weights: object, gaps: object, scale: float) -> Html:
    """The coloured response: one hue for weights below 1, another above 1. Tokens with weight 1 and no gap stay plain.

    >>> token_html(["take", " mug"], [1.0, 1.5], [0.0, 0.7], 0.5)
    'take<span class="w up5" title="weight 1.5, gap 0.7"> mug</span>'
    """
    shown = tokens[:_MOST_TOKENS]
    # In a damaged file the lists can differ in length; all tokens are shown.
    triples = zip_longest(shown, _numbers(weights)[: len(shown)], _numbers(gaps)[: len(shown)])
    more = f" … ({len(tokens) - len(shown)} more tokens)" if len(shown) < len(tokens) else ""
    return join([*(_token(_short(token, 500), weight, gap, scale) for token, weight, gap in triples), more])


def _token(token: str, weight: float | None, gap: float | None, scale: float) -> object:
    if (weight is None or weight == 1.0) and not gap:
        return token
    deviation = 0.0 if weight is None else weight - 1.0
    shade = min(_SHADES, round(_SHADES * abs(deviation) / scale)) if scale > 0 else 0
    title = f"weight {'unknown' if weight is None else figure(weight)}"
    if gap is not None:
        title += f", gap {figure(gap)}"
    return tag("span", token, class_=f"w {'up' if deviation > 0 else 'down'}{shade}" if shade else "w", title=title)


def _numbers(values: object) -> list[float | None]:
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Mapping):
        return []
    return [number({"value": value}, "value") for value in values]


def _short(value: object, limit: int) -> str:
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit} more characters)"
