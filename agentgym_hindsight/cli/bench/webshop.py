"""``agh bench webshop``: the engine, the env, and an implementation through HTML, measured in the same run.

Rates are per CPU second of one core (``time.process_time``). The implementation through HTML ("the way through HTML" in
the table) plays the same episodes with the same rules. Like the original, it compiles a template at every step, renders
the page and parses the text out of it. It is code of this library and does less work than the original: one pass of
Python's parser instead of two or three of BeautifulSoup, no JVM, no tagger. Its texts are compared with the engine's.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any, NamedTuple

import gymnasium as gym
from jinja2 import Environment

from agentgym_hindsight.cli.bench.figures import Row, memory_per_env
from agentgym_hindsight.envs.webshop.library import open_library
from agentgym_hindsight.envs.webshop.observe import observe
from agentgym_hindsight.envs.webshop.page_contents import nodes_of
from agentgym_hindsight.envs.webshop.pages import TEXT
from agentgym_hindsight.envs.webshop.search import Bm25Engine
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.shop_types import Goal
from agentgym_hindsight.errors import BackendError

__all__ = ["measure"]

_ENV = "WebShop-Hindsight-v0"
_TURNS = 15
#: Rounds of each measurement. The fastest counts, because other load can only slow a round down.
_ROUNDS = 3
#: Resets in a round.
_RESETS = 20_000


class _Episode(NamedTuple):
    goal: Goal
    actions: list[str]


_Play = Callable[[Session], object]


def measure(products: int, episodes: int, seed: int, note: Callable[[str], object]) -> list[Row]:
    """All figures over the first ``products`` of the embedded catalogue."""
    note("opening the shop")
    shop = open_library("embedded", products=products).shop
    strict, official = (_episodes(shop, rules, episodes, seed) for rules in ("strict", "official"))
    steps = sum(len(episode.actions) for episode in strict)
    rows = [Row("products, episodes, steps", f"{products:,}, {episodes:,}, {steps:,}")]
    note("engine")
    kinds: tuple[tuple[str, Callable[[Shop], Shop], _Play], ...] = (
        ("text, every page and search for the first time", _without_caches, _text),
        ("text, pages and searches met before", _with_caches, _text),
        ("text_rich, met before", _with_caches, _rich),
        ("html, met before", _with_caches, _html),
    )
    for what, prepare, show in kinds:
        rows.append(Row(f"engine, {what}", f"{_rate(prepare, shop, strict, 'strict', show):,.0f} steps/s"))
    rows.append(Row("engine, resets with the first page", f"{_resets(shop):,.0f} /s"))
    note("the way through HTML")
    html_episodes = official[: max(1, len(official) // 10)]
    _check(shop, html_episodes)
    for prepare, label in ((_without_caches, "first time"), (_with_caches, "met before")):
        engine_rate = _rate(prepare, shop, html_episodes, "official", _text)
        html_rate = _rate(prepare, shop, html_episodes, "official", _through_html)
        rows.append(Row(f"engine, text, official rules, {label}", f"{engine_rate:,.0f} steps/s"))
        rows.append(Row("  the way through HTML, same episodes", f"{html_rate:,.0f} steps/s"))
        rows.append(Row("  engine against it", f"{engine_rate / html_rate:,.0f}×"))
    note("the Gymnasium env")
    stepping, resetting = _env(products, episodes, seed)
    rows.append(Row("env.step with full info, gym.make", f"{stepping:,.0f} steps/s"))
    rows.append(Row("env.reset with full info, gym.make", f"{resetting:,.0f} /s"))
    note("memory")
    rows.append(Row("memory of one more env, shop shared, after an episode", f"{_memory(products) / 1024:.1f} KiB"))
    return rows


def _episodes(shop: Shop, rules: str, count: int, seed: int) -> list[_Episode]:
    """Episodes of random legal actions and searches, which end with a purchase or after ``_TURNS`` turns."""
    rng, episodes = random.Random(seed), []
    for _ in range(count):
        goal = rng.choice(shop.goals)
        session = Session(shop, goal, rules)
        actions: list[str] = []
        while len(actions) < _TURNS and not session.done:
            if session.has_search_bar or rng.random() < 0.05:
                words = goal.instruction.translate(str.maketrans("[]\n\r", "    ")).split()
                action = f"search[{' '.join(words[: rng.randrange(2, len(words) + 1)])}]"
            else:
                action = f"click[{rng.choice(session.clickables)}]"
            session.act(action)
            actions.append(action)
        episodes.append(_Episode(goal, actions))
    return episodes


def _with_caches(shop: Shop) -> Shop:
    return shop


def _without_caches(shop: Shop) -> Shop:
    """The same shop with empty caches."""
    index = shop.index
    return Shop(shop.products, Bm25Engine(index.ranker) if isinstance(index, Bm25Engine) else index, shop.goals)


def _text(session: Session) -> object:
    return observe(session, "text")


def _rich(session: Session) -> object:
    return observe(session, "text_rich")


def _html(session: Session) -> object:
    return observe(session, "html")


def _rate(prepare: Callable[[Shop], Shop], shop: Shop, played: list[_Episode], rules: str, show: _Play) -> float:
    best = 0.0
    for _ in range(_ROUNDS):
        prepared = prepare(shop)
        steps, started = 0, time.process_time()
        for goal, actions in played:
            session = Session(prepared, goal, rules)
            for action in actions:
                session.act(action)
                show(session)
                _ = session.clickables
            steps += len(actions)
        best = max(best, steps / (time.process_time() - started))
    return best


def _resets(shop: Shop) -> float:
    best = 0.0
    for _ in range(_ROUNDS):
        started = time.process_time()
        for number in range(_RESETS):
            session = Session(shop, shop.goals[number % len(shop.goals)], "strict")
            observe(session, "text")
            _ = session.clickables
        best = max(best, _RESETS / (time.process_time() - started))
    return best


# -- the way through HTML ---------------------------------------------------------------------------------------------

_TEMPLATE = """<!DOCTYPE html>
<html><head><title>Shop</title><style>body { font-family: sans-serif; } .btn { padding: 4px; }</style></head>
<body><div class="container">
{% for node in nodes %}
  {% if node.role == "button" %}<form method="post"><button type="submit" class="btn">{{ node.text }}</button></form>
  {% elif node.role == "link" %}<img src="{{ image }}"><a class="product-link" href="/item/{{ node.text }}">
    {{ node.text }}</a>
  {% elif node.role == "option" %}<input type="radio" id="r{{ loop.index }}" name="{{ node.axis }}"
    value="{{ node.value }}" data-url="{{ url }}"><label for="r{{ loop.index }}">{{ node.text }}</label>
  {% elif page == "done" %}<p style="display: none">{{ node.text }}</p>
  {% else %}<h4 class="product-info">{{ node.text }}</h4>{% endif %}
{% endfor %}
</div></body></html>
"""
_JINJA = Environment(autoescape=True)


class _Reader(HTMLParser):
    """Collects the visible texts of a page and the names of its clickable elements."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.buttons: list[str] = []
        self.links: list[str] = []
        self.options: list[str] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        if tag == "input":
            self.options.append(dict(attrs)["value"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        text = data.strip()
        if not text or self._within in ("style", "title"):
            return
        self.texts.append(text)
        if self._within == "button":
            self.buttons.append(text.lower())
        elif self._within == "a":
            self.links.append(text.lower())


def _through_html(session: Session) -> tuple[str, list[str]]:
    """Text and clickable names, parsed from a page that a newly compiled template renders."""
    template = _JINJA.from_string(_TEMPLATE)
    state = session.state
    page = template.render(nodes=nodes_of(session), page=state.kind, image="/static/product.svg", url="/item/options")
    reader = _Reader()
    reader.feed(page)
    return " [SEP] ".join(reader.texts), [*reader.buttons, *reader.links, *reader.options]


def _check(shop: Shop, played: list[_Episode]) -> None:
    """Check that both implementations give the same texts; otherwise their speeds are not comparable."""
    for goal, actions in played[:20]:
        session = Session(shop, goal, "official")
        for action in actions:
            session.act(action)
            text, names = _through_html(session)
            listed = sum(node.role != TEXT for node in nodes_of(session))
            expected = " ".join(observe(session, "text").split())
            if " ".join(text.split()) != expected or len(names) != listed:
                raise BackendError(
                    f"Expected equal texts of both implementations on page {session.state.kind!r}, got {text!r} and "
                    f"{expected!r}; try another --seed and report this one as a bug."
                )


# -- the env ----------------------------------------------------------------------------------------------------------


def _env(products: int, episodes: int, seed: int) -> tuple[float, float]:
    env = gym.make(_ENV, data="embedded", products=products)
    backend: Any = env.unwrapped.backend  # type: ignore[attr-defined]
    rng = random.Random(seed)
    tasks = [backend.task("train", rng.randrange(backend.count("train"))) for _ in range(min(episodes, 1000))]
    stepping = resetting = 0.0
    for number in range(_ROUNDS):
        rng, steps, step_seconds, reset = random.Random(seed + number), 0, 0.0, 0.0
        for task in tasks:
            started = time.process_time()
            _, info = env.reset(options={"task": task})
            reset += time.process_time() - started
            over = False
            started = time.process_time()
            while not over:
                _, _, terminated, truncated, info = env.step(_random_action(rng, info))
                steps += 1
                over = terminated or truncated
            step_seconds += time.process_time() - started
        stepping, resetting = max(stepping, steps / step_seconds), max(resetting, len(tasks) / reset)
    env.close()
    return stepping, resetting


def _random_action(rng: random.Random, info: dict[str, Any]) -> str:
    actions = info["admissible_actions"]
    return str(actions[int(rng.random() * len(actions))]) if actions else f"search[{info['goal']}]"


def _memory(products: int, count: int = 100) -> float:
    """Bytes of one more env after an episode."""

    def make_played() -> Any:
        env = gym.make(_ENV, data="embedded", products=products)
        _turns(env, task)
        return env

    first: Any = gym.make(_ENV, data="embedded", products=products)
    task = first.unwrapped.backend.task("train", 0)
    _turns(first, task)
    return memory_per_env([make_played] * count)


def _turns(env: gym.Env[Any, Any], task: Any) -> None:
    rng = random.Random(0)
    _, info = env.reset(options={"task": task})
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(_random_action(rng, info))
        over = terminated or truncated
