"""The tokens of a reply under one of several overlays, and why the teacher weighed them as it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp

from agentgym_hindsight.baselines.report.scales import figure
from agentgym_hindsight.markup import Html, join, tag
from agentgym_hindsight.viewer.layout import fold, link, short, table
from agentgym_hindsight.viewer.rollouts import TurnTokens

__all__ = ["OVERLAYS", "Overlay", "overlay_values", "strongest", "tokens_html"]

_SHADES, _MOST_ROWS = 5, 400


@dataclass(frozen=True, slots=True)
class Overlay:
    """One way to colour tokens. ``middle`` is the value without a colour; ``None``: low values are coloured."""

    key: str
    name: str
    meaning: str
    middle: float | None


OVERLAYS: Mapping[str, Overlay] = {
    each.key: each
    for each in (
        Overlay("weight", "weight", "advantage with the teacher over advantage without; 1: unchanged", 1.0),
        Overlay("gap", "gap", "log-probability of the teacher minus that of the policy", 0.0),
        Overlay("raw", "weight before the bound", "exp(sign of the advantage × gap)", 1.0),
        Overlay("bounded", "weight after the bound", "the same within the bounds, before λ", 1.0),
        Overlay("advantage", "advantage", "of the token, in the loss", 0.0),
        Overlay("logprob", "log-probability", "of the policy when it sampled the token", None),
        Overlay("teacher", "teacher's log-probability", "of the same token after the hindsight", None),
        Overlay("entropy", "entropy", "of the policy's distribution at the token", 0.0),
        Overlay("teacher_entropy", "teacher's entropy", "of the teacher's distribution at the token", 0.0),
        Overlay("mask", "mask", "1: the teacher may weigh the token", 0.0),
    )
}


def overlay_values(tokens: TurnTokens) -> dict[str, Sequence[float | None]]:
    """The values of every overlay that is recorded, or follows from what is."""
    count = len(tokens.texts)
    values: dict[str, Sequence[float | None]] = dict(tokens.columns)
    weights, gaps = tokens.columns.get("weight"), tokens.columns.get("gap")
    if tokens.bounds and gaps and tokens.advantage is not None:
        sign = (tokens.advantage > 0) - (tokens.advantage < 0)
        raw = [
            None
            if gap is None
            else exp(max(-20.0, min(20.0, sign * gap)))
            if place < len(tokens.chosen) and tokens.chosen[place] and not tokens.mask_reason
            else 1.0
            for place, gap in enumerate(gaps)
        ]
        low, high = tokens.bounds
        values["raw"] = raw
        values["bounded"] = [None if each is None else max(low, min(high, each)) for each in raw]
    base = tokens.columns.get("token_advantage") or (tokens.advantage,) * count
    if any(each is not None for each in base):
        factors = weights or (1.0,) * count
        values["advantage"] = [
            None if a is None else a * (1.0 if w is None else w) for a, w in zip(base, factors, strict=True)
        ]
    if tokens.chosen:
        values["mask"] = [float(chosen) for chosen in tokens.chosen] + [None] * (count - len(tokens.chosen))
    return {key: values[key] for key in OVERLAYS if key in values}


def strongest(tokens: TurnTokens) -> tuple[int, float] | None:
    """The token whose weight is farthest from 1 and its weight; ``None`` if all are 1. Equal weights: largest gap."""
    weights, gaps = tokens.columns.get("weight", ()), tokens.columns.get("gap", ())
    ranked = [
        (round(abs(weight - 1.0), 6), abs(gaps[place] or 0.0) if place < len(gaps) else 0.0, -place)
        for place, weight in enumerate(weights)
        if weight is not None and weight != 1.0
    ]
    if not ranked:
        return None
    place = -max(ranked)[2]
    return place, float(weights[place] or 1.0)


def tokens_html(
    tokens: TurnTokens, chosen: str, addresses: Mapping[str, str | None], span: Sequence[int] | None
) -> Html:
    """The reply with coloured tokens, the choice of overlays, why tokens were weighed, and all values as a table."""
    values = overlay_values(tokens)
    key = chosen if chosen in values else next(iter(values), "")
    if not values:
        return tag("pre", *tokens.texts, class_="response")
    overlay, column = OVERLAYS[key], values[key]
    tabs = [
        link(
            addresses.get(each),
            OVERLAYS[each].name,
            class_="tab",
            aria_current="true" if each == key else None,
            title=OVERLAYS[each].meaning,
        )
        for each in values
    ]
    scale = _scale(overlay, column)
    action = _in_span(tokens.texts, span)
    pieces = [
        _token(text, place, overlay, column[place], scale, values, in_action=action[place])
        for place, text in enumerate(tokens.texts)
    ]
    parts = [
        tag("nav", *tabs, class_="tabs overlays", aria_label="Overlay") if addresses else Html(""),
        _legend(overlay, scale),
        tag("pre", *pieces, class_="response"),
        _why(tokens, values),
    ]
    rows = [
        [
            short(repr(text), 40),
            *("" if values[each][place] is None else figure(float(values[each][place] or 0.0), 4) for each in values),
        ]
        for place, text in enumerate(tokens.texts[:_MOST_ROWS])
    ]
    head = ["token", *(OVERLAYS[each].name for each in values)]
    parts.append(fold(f"All values of the {len(tokens.texts)} tokens", table(head, rows, name="Values of the tokens")))
    return tag("div", *parts, class_="tokens")


def _scale(overlay: Overlay, column: Sequence[float | None]) -> float:
    """The distance from the middle that has the strongest colour; one value in twenty is beyond it."""
    if overlay.key == "mask":
        return 1.0
    middle = overlay.middle or 0.0
    distances = sorted(abs(value - middle) for value in column if value is not None and value != middle)
    return distances[(len(distances) * 19) // 20] if distances else 0.0


def _token(
    text: str,
    place: int,
    overlay: Overlay,
    value: float | None,
    scale: float,
    values: Mapping[str, Sequence[float | None]],
    *,
    in_action: bool,
) -> Html:
    known = [
        f"{OVERLAYS[each].name} {figure(float(column[place] or 0.0))}"
        for each, column in values.items()
        if column[place] is not None
    ]
    distance = 0.0 if value is None else value - (overlay.middle or 0.0)
    shade = min(_SHADES, round(_SHADES * abs(distance) / scale)) if scale > 0 else 0
    side = "down" if overlay.middle is None or distance < 0 else "up"
    classes = ["w"] + ([f"{side}{shade}"] if shade else []) + (["act"] if in_action else [])
    return tag("span", text, class_=" ".join(classes), title=f"token {place + 1}: {', '.join(known)}")


def _legend(overlay: Overlay, scale: float) -> Html:
    if not scale:
        return tag("p", f"{overlay.name}: {overlay.meaning}. All tokens have the same value.", class_="soft key")
    middle = overlay.middle or 0.0
    words = [(figure(middle), "")]
    if overlay.middle is None:
        words.append((f"{figure(-scale)} or less", "down5"))
    elif overlay.key == "mask":
        words.append(("1", "up5"))
    else:
        words.insert(0, (f"{figure(middle - scale)} or less", "down5"))
        words.append((f"{figure(middle + scale)} or more", "up5"))
    key = [tag("span", word, class_=f"w {shade}".strip()) for word, shade in words]
    return tag(
        "p",
        f"{overlay.name}: {overlay.meaning}. ",
        *key,
        " Underlined: the action. Point at or touch a token for its values.",
        class_="soft key",
    )


def _in_span(texts: Sequence[str], span: Sequence[int] | None) -> list[bool]:
    marks, end = [], 0
    for text in texts:
        begin, end = end, end + len(text)
        marks.append(span is not None and begin < span[1] and end > span[0])
    return marks


def _why(tokens: TurnTokens, values: Mapping[str, Sequence[float | None]]) -> Html:
    """In words: which token was weighed most, and the steps from the gap to its advantage."""
    if tokens.mask_reason:
        return tag("p", tag("b", "The teacher weighed no token: "), tokens.mask_reason, ".", class_="why")
    found = strongest(tokens)
    if found is None:
        return (
            tag("p", "All weights are 1: the teacher changed nothing here.", class_="why")
            if "weight" in values
            else Html("")
        )
    place, weight = found
    sentences: list[object] = [tag("b", "Weighed most: "), tag("code", short(repr(tokens.texts[place]), 60))]
    sentences.append(f" (token {place + 1}), weight {figure(weight)}. ")
    gap, own, teacher = (_at(values, key, place) for key in ("gap", "logprob", "teacher"))
    if gap is not None:
        who = "more" if gap > 0 else "less"
        sentences.append(f"After reading the hindsight, the teacher finds it {who} probable: gap {figure(gap)}")
        if own is not None and teacher is not None:
            sentences.append(f" (policy {_chance(own)}, teacher {_chance(teacher)})")
        sentences.append(". ")
    raw, bounded = _at(values, "raw", place), _at(values, "bounded", place)
    if tokens.advantage is not None and raw is not None and bounded is not None and tokens.bounds:
        sign = "+" if tokens.advantage > 0 else "−"
        sentences.append(f"The advantage of the turn is {figure(tokens.advantage)}, so the weight is exp({sign}gap) = ")
        sentences.append(figure(raw))
        sentences.append(f", bounded to {figure(bounded)}" if abs(raw - bounded) > 1e-9 else " (within the bounds)")
        if tokens.strength is not None:
            sentences.append(f"; with λ = {figure(tokens.strength)} it is {figure(weight)}")
        sentences.append(". ")
    if (after := _at(values, "advantage", place)) is not None:
        sentences.append(f"Its advantage in the loss: {figure(after)}.")
    return tag("p", *sentences, class_="why")


def _chance(logprob: float) -> str:
    return f"{100 * exp(min(logprob, 0.0)):.3g} %"


def _at(values: Mapping[str, Sequence[float | None]], key: str, place: int) -> float | None:
    return values[key][place] if key in values else None


def plain_reply(text: str, span: Sequence[int] | None) -> Html:
    """A reply without tokens, with its action marked."""
    if span is None or not 0 <= span[0] <= span[1] <= len(text):
        return tag("pre", text, class_="response")
    begin, end = span[0], span[1]
    return tag(
        "pre", join([text[:begin], tag("mark", text[begin:end], title="the action"), text[end:]]), class_="response"
    )
