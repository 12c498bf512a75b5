"""Text that a model, a world, a file or a server wrote is scanned in linear time.

``SCANS`` lists every function that scans such text. Each is run on texts that make careless patterns and loops
quadratic: tags that are opened and never closed, long numbers and names, rows of blanks, quotes and escapes, nested
brackets. A text of four times the length may take at most ``_LINEAR`` times as long, and only an absolute time. The
comparison of two texts for similar anchors cannot be linear; ``test_anchors.py`` checks its limits.
"""

from __future__ import annotations

import ast
import gc
import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import pytest

import agentgym_hindsight
from agentgym_hindsight import markup, names, printable, redaction
from agentgym_hindsight.baselines import masks, run_log
from agentgym_hindsight.baselines.analysers import answers, failures, rollout_text
from agentgym_hindsight.baselines.audit import judge as audit_judge
from agentgym_hindsight.baselines.report import runs
from agentgym_hindsight.cli import eval_records
from agentgym_hindsight.envs.alfworld import gamefile, rulebook, wording
from agentgym_hindsight.envs.alfworld.gamewriter import scene_to_game
from agentgym_hindsight.envs.alfworld.names import shown_names
from agentgym_hindsight.envs.alfworld.situation import Situation
from agentgym_hindsight.envs.appworld.miniature import checks, goals, parameter_types
from agentgym_hindsight.envs.appworld.official import backend as official_backend
from agentgym_hindsight.envs.appworld.official import changes, replies
from agentgym_hindsight.envs.appworld.sandbox import host_channel
from agentgym_hindsight.envs.appworld.sandbox.inside import report as sandbox_report
from agentgym_hindsight.envs.tau import desk as tau_desk
from agentgym_hindsight.envs.tau import rewards as tau_rewards
from agentgym_hindsight.envs.tau.desk import DeskTask
from agentgym_hindsight.envs.tau.users import scripted as tau_scripted
from agentgym_hindsight.envs.tau.users.facts import facts_of_instruction
from agentgym_hindsight.envs.tools import actions as tool_actions
from agentgym_hindsight.envs.tools import literals as tool_literals
from agentgym_hindsight.envs.webshop import (
    analyzer,
    colors,
    example_searches,
    human_logs,
    json_stream,
    loading,
    nouns,
    official_files,
    reward,
    session,
    wordbreak,
)
from agentgym_hindsight.envs.webshop.site import addresses, hosts, option_text, pictures, sessions
from agentgym_hindsight.envs.webshop.site import server as site_server
from agentgym_hindsight.hindsight import (
    anchors,
    budget,
    chat_server,
    codec,
    collisions,
    context,
    jsonl,
    judge_cache,
    judge_prompt,
    render,
    resolve,
    trajectory,
)
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.hindsight.spec import ContextOptions
from agentgym_hindsight.hindsight.tables import to_rows
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory
from agentgym_hindsight.tasks import TaskPanel
from agentgym_hindsight.viewer import summaries, teacher_prompt, worlds
from agentgym_hindsight.wrappers import action_parsing, parsing, value_names
from agentgym_hindsight.wrappers.protocols import PROTOCOLS, PromptState, make_protocol
from tests.envs.alfworld.scenes import kitchen
from tests.envs.webshop.tiny_shop import goal_for, tiny_shop

#: Characters of the shorter text; the longer one has ``_TIMES`` times as many.
_LENGTH, _TIMES = 10_000, 4
#: A limit between linear growth (4) and quadratic growth (16).
_LINEAR = 9.0
#: CPU seconds for the longer text. The slowest function needs a tenth of it.
_MOST_SECONDS = 1.5
_FLOOR = 1e-3  # seconds; the ratio of shorter times says nothing


def prompt_tokens(text: str) -> object:
    """The tokens of a prompt with this text, by the tiny policy's tokenizer."""
    pytest.importorskip("transformers", reason="needs the extra [train]")
    from agentgym_hindsight.baselines.policies.chat import PromptEncoder

    return PromptEncoder(_tokenizer(), 10**9).tokens([text])


def chat_tokens(text: str) -> object:
    """The tokens of a chat with this text in two messages."""
    pytest.importorskip("transformers", reason="needs the extra [train]")
    from agentgym_hindsight.baselines.policies.chat import PromptEncoder
    from agentgym_hindsight.baselines.policies.chat_messages import MessageEncoder

    chat = [{"role": "system", "content": text}, {"role": "user", "content": text}]
    return MessageEncoder(PromptEncoder(_tokenizer(), 10**9)).encode(chat)


@cache
def _tokenizer() -> Any:
    from agentgym_hindsight.baselines.training.tiny import make_tokenizer

    return make_tokenizer(["go to fridge 1", "go to desk 2"] * 9, vocabulary=300)


#: A text of about this many characters.
Text = Callable[[int], str]


def rows(unit: str, head: str = "", tail: str = "") -> Text:
    """A unit repeated, between two other texts."""
    return lambda length: head + unit * max(1, length // len(unit)) + tail


UNITS = (
    *("a", "1", " ", "\n", "\t\n", "\r\n", "é", "İ", "\ud800", "\ufffd", "👍", "\u200d", "e\u0301", "\x1b[", "\x00"),
    *("<", ">", "> ", "<think>", "</think>", "<THINK>x", "<think></think> ", "<action>", "</action>", "<action "),
    *("action>", "```", "```python\n", "`", "think:", "search[", "click[a", "<tool_call>", "<tool_call> </tool_call>"),
    *(
        '"',
        "'",
        "\\",
        '\\"',
        "'\\\"",
        '"""',
        '"" ',
        "\\u00",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "[{",
        '{"a":',
        '["a",',
        "()",
    ),
    *(
        "a - ",
        "- ",
        "a ",
        "(a ",
        "(a b c d",
        "not ",
        "#",
        "#a#",
        ";",
        ";c\n",
        "/",
        "/1",
        "/1/x/{",
        "$",
        "$1",
        ".",
        "a.",
    ),
    *("1.", "1,", "-", "_", ":", "::", "a'", "%", "%41", "+", "@", "://", "http://x?", "?key=", "a@", "x=1\n", "1e"),
    *(" at 0x", " and price lower than 1", "Wed, ", "INSERT INTO ", "lambda:", "**", "|", ", ", "; ", "0" * 50 + ","),
)


class Scan(NamedTuple):
    """A function, and texts that are made for it."""

    run: Callable[[str], object]
    texts: tuple[Text, ...] = ()
    only: bool = False  # no other texts


# -- what the functions need ----------------------------------------------------------------------------------------

_OPTIONS = ContextOptions()
_GAME = scene_to_game(kitchen())
_SHOP = tiny_shop()
_SESSION = session.Session(_SHOP, goal_for(_SHOP.products[0]))


def drawn(env_id: str) -> Callable[[str], object]:
    """Draws an action and a reply as the viewer does for a world."""

    def draw(text: str) -> object:
        turn = Step(0, text, text, text, text, (f"click[{text}]",), extra={"evaluation": text})
        trajectory = Trajectory("1f", env_id, steps=(turn, turn))
        return worlds.action_html(trajectory, 0), worlds.reply_html(trajectory, 0), worlds.action_line(text, 60)

    return draw


def step(text: str) -> Step:
    return Step(0, text, text, text, text, prompt=text, response=text, detail=text)


def rollout(text: str) -> Trajectory:
    return Trajectory("1f", goal=text, steps=(step(text),), final_observation=text)


def other(text: str) -> Trajectory:
    return Trajectory("1f", won=True, steps=(step(f"x{text[1:]}"),))


def game(key: str, head: str, text: str, tail: str = "") -> str:
    """A game file with the text in one of its parts."""
    return json.dumps({**_GAME, key: _GAME[key].replace(head, f"{head}{text}{tail}", 1)})


def scene_names(text: str) -> object:
    scene = kitchen()
    return shown_names(scene._replace(things=(scene.things[0]._replace(id=text, inside=(f"{text}_bar_",)),)))


def bytes_of(text: str) -> list[int]:
    return list(text.encode("utf-8", "surrogatepass"))


def decoded(ids: Any) -> str:
    return bytes(ids).decode("utf-8", "replace")


def goes_to(kind: str, asin: str = "") -> Callable[[str], object]:
    return lambda text: addresses.go_to(_SESSION.copy(), kind, asin, text)


def visit(page: str) -> Callable[[str], object]:
    def run(text: str) -> object:
        human_logs.visit_of({"page": page, "url": f"http://x/{page}/1/{text}"})
        return human_logs.visit_of({"page": page, "url": "http://x/y/1", "content": {"keywords": text, "page": text}})

    return run


def json_records(path: Path) -> object:
    with json_stream.JsonFile(path, chunk=500) as file:
        return list(file.items())


def on_file(read: Callable[[Path], object], name: str = "file.json") -> Callable[[str], object]:
    def run(text: str) -> object:
        path = _FOLDER / name
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return read(path)

    return run


def run_folder(path: Path) -> object:
    (path.parent / "run.json").write_text("{}")
    return runs.read_run(path.parent), run_log.RunLog(path.parent, active=False).read(path.stem)


def playing(env_id: str, **settings: Any) -> Callable[[str], object]:
    env = gym.make(env_id, **settings)
    env.reset(seed=0)

    def run(text: str) -> object:
        *_, terminated, truncated, info = env.step(text)
        read = info["hindsight"].immediate_feedback.detail, info["hindsight"].next_observation.text, info["anchor"]
        if terminated or truncated:
            env.reset(seed=0)
        return read

    return run


def nearest(text: str) -> object:
    env = action_parsing.ActionParser(gym.make("ALFWorld-Hindsight-v0", data="embedded"), "brief")
    env.reset(seed=0)
    return env.step(f"<action>{text}</action>")


def rules(text: str) -> object:
    return rulebook.domain_parts(f"(define (domain alfred) {text})"), list(rulebook.grammar_parts(text, []))


def many_texts(length: int) -> str:
    """A grammar in which each text calls the next one twice."""
    count = length // 40
    texts = {name: [{"rhs": "#t0#"}] for name in ("intro", "list_empty", "list_separator", "list_last_separator")}
    texts |= {f"t{n}": [{"rhs": f"#t{(n + 1) % count}#" * 2}] for n in range(count)}
    return f'grammar :: """{json.dumps(texts)}""";'


# -- the functions, as "module: function" ----------------------------------------------------------------------------

SCANS: dict[str, Scan] = {
    "baselines.audit.judge: parse_verdicts": Scan(lambda text: audit_judge.parse_verdicts(text, 3)),
    # what a policy or a judge writes
    "hindsight.render: remove_thinking": Scan(render.remove_thinking),
    "hindsight.render: candidate_action": Scan(lambda text: render.candidate_action(step(text), _OPTIONS)),
    "hindsight.judge_prompt: useful_answer": Scan(judge_prompt.useful_answer),
    "baselines.analysers.answers: answer_object": Scan(answers.answer_object),
    "baselines.analysers.answers: text_of": Scan(answers.text_of),
    "baselines.analysers.failures: read": Scan(lambda text: failures.FailedTurns(rollout(text)).read(text)),
    "baselines.analysers.rollout_text: rollout_text": Scan(lambda text: rollout_text.rollout_text(rollout(text))),
    "baselines.analysers.rollout_text: fenced": Scan(rollout_text.fenced),
    "hindsight.judge_prompt: judge_messages": Scan(
        lambda text: judge_prompt.judge_messages(rollout(text), other(text), _OPTIONS)
    ),
    "wrappers.parsing: action_spans": Scan(parsing.action_spans, (rows("</action ", "<action>"),)),
    **{
        f"wrappers.parsing: parse_response {name}": Scan(lambda text, name=name: parsing.parse_response(text, name))  # type: ignore[misc]
        for name in parsing.PARSERS
    },
    "wrappers.action_parsing: nearest": Scan(nearest),
    "baselines.masks: token_spans": Scan(
        lambda text: masks.token_spans(decoded, bytes_of(text)), tuple(map(rows, "aé👍\ufffd\ud800")), only=True
    ),
    "baselines.masks: damaged bytes": Scan(
        lambda text: masks.token_spans(decoded, [0xFF] * len(text)), (rows("x"),), only=True
    ),
    "baselines.masks: tool_call_spans": Scan(masks.tool_call_spans, (rows(" ", "<tool_call>", "</tool_call>"),)),
    # what a server sends
    "hindsight.chat_server: retry_after": Scan(chat_server.retry_after, (rows("1", "Wed, 0"), rows(" 1", "Wed,"))),
    "redaction: hide": Scan(lambda text: redaction.hide(text, "sk-Aa1+/x")),
    "redaction: hide_passwords": Scan(redaction.hide_passwords, (rows("a:b@", "http://"), rows("://a:b@c "))),
    # what a world shows
    "hindsight.trajectory: render_steps": Scan(lambda text: trajectory.render_steps((step(text),))),
    "hindsight.resolve: resolve": Scan(
        lambda text: [str(each) for turns in resolve.resolve(Group([rollout(text), other(text)])) for each in turns]
    ),
    "hindsight.context: compose": Scan(
        lambda text: context.compose(
            "success+immediate+next+current", Group([rollout(text), other(text)]), budget=budget.Budget(300)
        )
    ),
    "hindsight.context: compose at anchors": Scan(
        lambda text: context.compose("success|immediate+next@anchor", Group([rollout(text), other(text)]))
    ),
    "hindsight.context: prompt": Scan(
        lambda text: context.TeacherContext(*[(context.Section("immediate", text),)] * 2).prompt(text, limit=200)
    ),
    "hindsight.budget: cut": Scan(
        lambda text: [budget.Budget(99, None, cut).cut(text, 99) for cut in ("tail", "middle")]
    ),  # type: ignore[arg-type]
    "hindsight.anchors: cluster": Scan(lambda text: anchors.cluster([rollout(text), other(text)], "observation")),
    "hindsight.collisions: report": Scan(lambda text: collisions.collision_report([rollout(text)]).to_markdown()),
    **{
        f"wrappers.protocols: {name}": Scan(
            lambda text, name=name: make_protocol(name).render(  # type: ignore[misc]
                PromptState(text, text, (text,), ((text, text),) * 2, world="alfworld")
            )
        )
        for name in PROTOCOLS
    },
    "envs.alfworld.situation: follow": Scan(lambda text: Situation().follow(f"go to {text}", text)),
    "hindsight.control_text: break_control_text": Scan(break_control_text),
    "hindsight.tables: to_rows": Scan(lambda text: to_rows([rollout(text)])),
    "baselines.policies.control_tokens: encode": Scan(prompt_tokens),
    # The contents are encoded by control_tokens, so a few texts are enough.
    "baselines.policies.chat_messages: encode": Scan(
        chat_tokens,
        (rows("<|user|>"), rows("<"), rows("a"), rows("[INST]"), rows("</s>"), rows("<|im_end|>"), rows("agentgym")),
        only=True,
    ),
    "baselines.run_log: a line": Scan(lambda text: run_log._SURROGATE.sub("", text)),
    "cli.eval_records: a line": Scan(lambda text: eval_records._SURROGATE.sub("", text)),
    "envs.tools.actions: read_action": Scan(
        lambda text: tool_actions.read_action(text, ("a",)),
        (rows("<tool_call>"), rows('{"name": "a"},', "["), rows("a(x='"), rows("<think>"), rows('\\"', '"')),
    ),
    "wrappers.value_names: marked": Scan(
        lambda text: value_names.marked([text]),
        (rows("#A1"), rows("a@b."), rows("a_"), rows("1"), rows("a A"), rows("@"), rows("x.")),
    ),
    "wrappers.value_names: long_call": Scan(
        lambda text: value_names.long_call(f"[f(a=@1, b={text})]", text), (rows("@1 #W12 "), rows("@1"), rows("=@1,"))
    ),
    "envs.tools.literals: without_surrogates": Scan(tool_literals.without_surrogates, (rows("\ud800"),)),
    "envs.tau.rewards: is_said": Scan(
        lambda text: [tau_rewards.is_said("10", [text], rules) for rules in ("official", "strict")],
        (rows("1,000"), rows("10."), rows(",")),
    ),
    "envs.tau.desk: an error of Python": Scan(tau_desk._UNHASHABLE.fullmatch, (rows("cannot use ' as "),)),
    "envs.tau.users.scripted: reply": Scan(
        lambda text: tau_scripted.ScriptedUser().reply(text), (rows("#W1"), rows("is that right"))
    ),
    "envs.tau.users.facts: facts_of_instruction": Scan(
        lambda text: facts_of_instruction(DeskTask("", text, ())),
        (rows("you are a, "), rows("a@b."), rows("a_a_"), rows("You are A ")),
    ),
    "envs.webshop.example_searches: searches": Scan(lambda text: example_searches._WORD.findall(text)),
    "envs.webshop.site.hosts: name_of": Scan(hosts.name_of),
    "envs.webshop.site.server: a request": Scan(site_server._ABSOLUTE.fullmatch),
    "markup: tag": Scan(lambda text: markup.tag("p", text, title=text)),
    "printable: printable": Scan(printable.printable),
    "printable: printable_line": Scan(printable.printable_line),
    "names: known_name": Scan(lambda text: names.known_name("split", text, ["train", "valid_unseen"])),
    # ALFWorld
    "envs.alfworld.wording: parse_command": Scan(wording.parse_command),
    "envs.alfworld.wording: closest_name": Scan(lambda text: wording.closest_name(text, ["mug 1", "desk 2"])),
    "envs.alfworld.reasons: step": Scan(
        playing("ALFWorld-Hindsight-v0", data="embedded", max_steps=9999),
        (rows(" from a", "take a", "\n"), rows(" in a", "put a", "\n")),
    ),
    "envs.alfworld.names: shown_names": Scan(scene_names, (rows("_minus_"), rows("_bar_"))),
    "envs.alfworld.rulebook: split_task": Scan(
        rulebook.split_task,
        (
            rows('"Your task is to: \\'),
            rows('\\"Your task is to: ', '"Your task is to: '),
            rows("\\\n", '"Your task is to: '),
        ),
    ),
    "envs.alfworld.rulebook: parts": Scan(
        rules, (many_texts, rows('"""'), rows("(a)"), rows('action a { b :: "c"; } '))
    ),
    "envs.alfworld.gamefile: objects": Scan(lambda text: gamefile.parse_game(game("pddl_problem", "(:objects", text))),
    "envs.alfworld.gamefile: init": Scan(lambda text: gamefile.parse_game(game("pddl_problem", "(:init", text))),
    "envs.alfworld.gamefile: goal": Scan(
        lambda text: gamefile.parse_game(game("pddl_problem", "(:goal", text)),
        (rows(") ", " (and (exists (?r - receptacle) (exists (?o - object) (and (objectType ?o "),),
    ),
    "envs.alfworld.gamefile: name": Scan(
        lambda text: gamefile.parse_game(game("pddl_problem", "(problem ", text)), (rows("( problem "),)
    ),
    "envs.alfworld.gamefile: declared": Scan(
        lambda text: gamefile.parse_game(game("pddl_problem", "(:objects\n", text, " - object\n")), (rows("a"),)
    ),
    "envs.alfworld.gamefile: domain": Scan(lambda text: gamefile.parse_game(game("pddl_domain", "(define", text))),
    "envs.alfworld.gamefile: grammar": Scan(lambda text: gamefile.parse_game(game("grammar", "", text))),
    "envs.alfworld.gamefile: file": Scan(gamefile.parse_game),
    # WebShop
    "envs.webshop.nouns: nouns_of": Scan(nouns._by_token, (rows("1.'-"),)),
    "envs.webshop.wordbreak: words": Scan(wordbreak.words, (rows("\u0301", "#"), rows("🇺"), rows("a'", "", "é"))),
    "envs.webshop.analyzer: terms": Scan(analyzer.terms, (rows("y"), rows("ing"), rows("\u202f"))),
    "envs.webshop.session: parse_action": Scan(session.parse_action),
    "envs.webshop.session: admissible_clicks": Scan(lambda text: session.admissible_clicks([text])),
    "envs.webshop.session: step": Scan(
        playing("WebShop-Hindsight-v0", data="embedded", products=50, max_steps=9999),
        (rows("a ", "search[", "]"), rows("a", "click[", "]")),
    ),
    "envs.webshop.site.option_text: read_options": Scan(
        lambda text: option_text.read_options(f"{{{text[:3000]}}}"), (rows("'a':'b',"), rows("'\\", "'"))
    ),
    "envs.webshop.site.option_text: read_strings": Scan(lambda text: option_text.read_strings(f"[{text[:3000]}]")),
    "envs.webshop.site.addresses: results": Scan(goes_to("results")),
    "envs.webshop.site.addresses: item": Scan(goes_to("item", "T000000001")),
    "envs.webshop.site.addresses: sub page": Scan(goes_to("sub", "T000000001")),
    "envs.webshop.site.addresses: done": Scan(goes_to("done", "T000000001")),
    "envs.webshop.site.pictures: thing_of": Scan(
        lambda text: (pictures.thing_of(text, text, text), pictures.paint_of(text))
    ),
    "envs.webshop.site.sessions: is_name": Scan(sessions.is_name),
    "envs.webshop.loading: prices_of": Scan(loading.prices_of, (rows("1", "$"), rows("$1"))),
    "envs.webshop.loading: option_value": Scan(loading.option_value),
    "envs.webshop.reward: similarity": Scan(lambda text: reward.similarity.__wrapped__(text, text[::-1])),
    "envs.webshop.colors: normalize_color": Scan(colors.normalize_color.__wrapped__),
    "envs.webshop.human_logs: results": Scan(
        visit("search_results"), (rows("'a',", "["), rows("-", "1"), rows("(", "["))
    ),
    "envs.webshop.human_logs: item": Scan(visit("item_page")),
    "envs.webshop.human_logs: sub page": Scan(visit("item_sub_page")),
    "envs.webshop.human_logs: instruction": Scan(human_logs._normalized, (rows("1", " and price lower than "),)),
    "envs.webshop.json_stream: items": Scan(
        on_file(json_records),
        (rows("a", '["'), rows("[", "["), rows("1", "["), rows(" ", "[1"), rows("1,", "["), rows('{"a":1},', "[")),
    ),
    "envs.webshop.official_files: read_json": Scan(
        on_file(official_files.read_json), (rows("1", "["), rows("a", '["'))
    ),
    # AppWorld
    "envs.appworld.official.changes: describe": Scan(
        lambda text: changes.Changes((("app", (json.dumps([text]), text)),)).describe(),
        (rows(" ", "INSERT"), rows("\n", "DELETE "), rows("a_fts", "UPDATE ")),
    ),
    "envs.appworld.official.replies: cause_of": Scan(
        lambda text: replies.cause_of(f"Execution failed. Traceback:{text}")
    ),
    "envs.appworld.official.backend: names": Scan(
        official_backend._names_bound, (rows("-", "x="), rows("x=", "", "1"))
    ),
    "envs.appworld.miniature.checks: answers_match": Scan(
        lambda text: [checks.answers_match(text, expected) for expected in (text[1:], 1.5, True, ["a", "b"])]
    ),
    "envs.appworld.miniature.goals: same_text": Scan(lambda text: goals.same_text(text[1:])(text)),
    "envs.appworld.miniature.parameter_types: rules": Scan(
        lambda text: [kind.__metadata__[0].holds(text) for kind in (parameter_types.Email, parameter_types.Day)]  # type: ignore[attr-defined]
    ),
    "envs.appworld.sandbox.host_channel: is_safe_json": Scan(
        lambda text: host_channel.is_safe_json({"a": [text, text]})
    ),
    "envs.appworld.sandbox.inside.report: cut": Scan(
        lambda text: sandbox_report._ADDRESS.sub(">", sandbox_report.cut(text, 999))
    ),
    # files
    # the viewer
    "viewer.summaries": Scan(lambda text: summaries.summary_of({"goal": text, "steps": [{"action": text}] * 3})),
    "viewer.teacher_prompt: cut_parts": Scan(
        lambda text: teacher_prompt.cut_parts(text, text),
        (rows("[… 1 characters left out …]"), rows("[… "), rows("a[… 1 characters left out …]\n")),
    ),
    "viewer.worlds: house": Scan(drawn("ALFWorld-Hindsight-v0"), (rows("a mug 1, ", "On the desk 1, you see "),)),
    "viewer.worlds: shop": Scan(drawn("WebShop-Hindsight-v0"), (rows("a [SEP] "),)),
    "viewer.worlds: program": Scan(drawn("AppWorld-Hindsight-v0"), (rows("passed\n"),)),
    "viewer.worlds: tools": Scan(drawn("TauBench-Hindsight-v0"), (rows("<tool_call>"), rows('{"a": [', "f: "))),
    "hindsight.codec: load": Scan(codec.load_trajectory, (rows("1", '{"schema": '), rows("1", '{"version": 0.'))),
    "hindsight.codec: dump and load": Scan(lambda text: codec.load_trajectory(codec.dump_trajectory(rollout(text)))),
    "hindsight.jsonl: read_jsonl": Scan(on_file(jsonl.read_jsonl)),
    "hindsight.judge_cache: AnswerCache": Scan(on_file(judge_cache.AnswerCache)),
    "tasks: TaskPanel.load": Scan(on_file(TaskPanel.load)),
    "baselines.run_log and report.runs: metrics": Scan(on_file(run_folder, "metrics.jsonl")),
    "baselines.run_log and report.runs: eval": Scan(on_file(run_folder, "eval.jsonl")),
    "baselines.run_log and report.runs: samples": Scan(on_file(run_folder, "samples.jsonl")),
}

_FOLDER = Path()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    global _FOLDER
    _FOLDER = tmp_path


def seconds(run: Callable[[str], object], text: str) -> float:
    """CPU seconds of a call. Refusing the text is as good as accepting it."""
    gc.disable()  # a collection visits the objects of all earlier tests, and is more likely in the longer call
    try:
        started = time.process_time()
        with suppress(Exception):
            run(text)
        return time.process_time() - started
    finally:
        gc.enable()


def growth(run: Callable[[str], object], make: Text, length: int = _LENGTH, repeats: int = 12) -> tuple[float, float]:
    """How many times as long the longer text takes, and its time. Repeated only if it looks bad."""
    long = make(_TIMES * length)
    after = seconds(run, long)
    if after <= _LINEAR * _FLOOR:  # then every time of the shorter text gives the same verdict
        return after / _FLOOR, after
    short = make(length)
    before = seconds(run, short)
    for _ in range(repeats):
        if after <= _LINEAR * max(before, _FLOOR) and after <= _MOST_SECONDS:
            break
        before, after = min(before, seconds(run, short)), min(after, seconds(run, long))
    return after / max(before, _FLOOR), after


#: Scans of several seconds.
_SLOW = {
    "baselines.policies.control_tokens: encode",
    "baselines.run_log and report.runs: eval",
    "baselines.run_log and report.runs: metrics",
    "baselines.run_log and report.runs: samples",
    "envs.tau.users.facts: facts_of_instruction",
    "envs.webshop.analyzer: terms",
    "envs.webshop.site.pictures: thing_of",
    "envs.webshop.wordbreak: words",
    "hindsight.judge_prompt: judge_messages",
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in _SLOW)) for name in SCANS])
def test_text_is_scanned_in_linear_time(name: str) -> None:
    scan = SCANS[name]
    slow = []
    general = () if scan.only else (*map(rows, UNITS), *(rows(unit, "x", "x") for unit in UNITS))
    for make in (*general, *scan.texts):
        times, after = growth(scan.run, make)
        if times > _LINEAR or after > _MOST_SECONDS:
            slow.append(f"{make(1)[:40]!r}: {times:.1f} times as long, {after:.3f} s")
    assert not slow, "\n".join(slow)


def test_a_quadratic_function_is_found() -> None:
    """The patterns that this library had."""
    for pattern, unit, length in (
        (r"<think>.*?</think>", "<think>", _LENGTH),
        (r"([^\s()]+)\s+-\s+([^\s()]+)", "a", 500),
        (r"[\w'.-]*[^\W\d_][\w'.-]*", "1", 500),
        (r'"Your task is to: ((?:[^"\\]|\\.)*)"', '"Your task is to: \\', _LENGTH),
    ):
        # Several attempts: a shorter text that was slow by chance hides the growth, and another load is no defect.
        attempts = (growth(re.compile(pattern, re.DOTALL).findall, rows(unit), length, repeats=1)[0] for _ in range(9))
        assert any(times > _LINEAR for times in attempts), pattern


#: Modules that use regular expressions only on text of this library or of the user's command line.
OWN_TEXT = {
    "baselines.methods.base": "the repr of a setting",
    "baselines.report.line_names": "the name of a folder",
    "baselines.trl_environment": "the id of an env",
    "cli.eval_jobs": "a name for a file",
    "cli.bench.gpu.packages": "the version of an installed package",
    "cli.terminal": "a warning of Python",
    "cli.train_command": "the names of an env and a method",
    "stage": "the id of an env",
    "cli.export_command": "the name of a file, matched as a whole",
    "viewer.links": "a name of at most 200 characters, matched as a whole",
    "baselines.audit.svg_file": "the style sheet of this library",
    "envs.bfcl.official.package": "the name of an installed folder",
    "envs.bfcl.embedded.clock": "patterns of at most ten characters, matched as a whole",
    "cli.shared": "an error of Python",
    "envs.appworld.miniature.api": "docstrings of the library",
    "envs.appworld.miniature.templates.errands": "a program of the expert, which runs in the sandbox",
    "envs.appworld.sandbox.inside.variables": "patterns of the agent, which only its own sandbox compiles",
    "envs.webshop.site.app": "a short session name",
}


def test_every_module_with_patterns_is_listed() -> None:
    package = Path(agentgym_hindsight.__file__).parent
    using = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import) and any(alias.name == "re" for alias in node.names):
                using.add(".".join(path.relative_to(package).with_suffix("").parts))
    listed = {name.partition(":")[0] for name in SCANS}
    assert using <= listed | OWN_TEXT.keys(), "add a scan of these modules, or say why they need none"
