"""The pages: what they show, that text never becomes markup, and that addresses hold their state."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.baselines.report.viewer_links import rollout_path, source_slug
from agentgym_hindsight.hindsight import write_jsonl
from agentgym_hindsight.hindsight.codec import dump_trajectory
from agentgym_hindsight.viewer.app import create_app
from agentgym_hindsight.viewer.export import export_page, is_export
from agentgym_hindsight.viewer.sources import Sources
from agentgym_hindsight.viewer.step_graph import _path, _State, _top
from tests.baselines.report.faked import HOSTILE
from tests.baselines.report.test_page import Structure
from tests.viewer.rollout_files import hostile, lost, make_files, sample, won

SCHEMES = re.compile(r"(?:https?:)?//")


class Site:
    """Pages of a folder, by their addresses; every page is checked for markup that is not ours."""

    def __init__(self, folder: Path) -> None:
        self.file, self.run = make_files(folder)
        self.sources = Sources([folder])
        self.client = create_app(self.sources).test_client()
        self.slug, self.run_slug = source_slug(self.file), source_slug(self.run)

    def page(self, address: str, status: int = 200) -> str:
        answer = self.client.get(address)
        assert answer.status_code == status, answer.text[:2000]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        check(answer.text)
        return answer.text

    def text(self, address: str) -> str:
        """The text of a page, without its markup."""
        return unescape(re.sub(r"<[^>]*>", "", self.page(address)))


def check(page: str) -> None:
    structure = Structure()
    structure.handle_endtag = lambda tag: None  # type: ignore[method-assign]  # optional ends of inputs
    structure.feed(page)
    assert not any(SCHEMES.match(address) for address in structure.loads)
    assert "<script>alert" not in page
    assert "onerror=alert(1)>" not in page.replace("&gt;", "")
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert 'style="' not in page  # the security policy forbids it
    assert "img" not in structure.seen


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


def test_the_first_page_lists_runs_and_files(site: Site) -> None:
    text = site.text("/")
    assert "rollouts.jsonl" in text
    assert "training of serl, seed 0, 1 updates, success 50%" in text
    assert "50% [15%, 85%]" in text  # Wilson's interval of 2 of 4


def test_a_single_source_opens_at_once(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [won()])
    answer = create_app(Sources([tmp_path / "a.jsonl"])).test_client().get("/")
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/s/{source_slug(tmp_path / 'a.jsonl')}"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 4), ("outcome=won", 2), ("outcome=truncated", 1), ("outcome=broken", 1), ("outcome=lost", 0),
        ("invalid=1", 2), ("q=MUG", 3), ("q=garden", 2), ("q=walked", 1), ("q=garden+opens", 2), ("q=%25", 0),
        ("category=pick", 3), ("policy=learner", 1), ("source=success", 3), ("source=diagnosis", 1),
        ("source=judge", 3), ("source=expert", 2), ("source=tokens", 0), ("q=opens&outcome=won", 2),
        ("outcome=nonsense&sort=x&page=-1&source='", 4), ("category=')--", 0), ("q=" + "x+" * 50, 1),
    ],
)  # fmt: skip
def test_filters_and_search(site: Site, query: str, count: int) -> None:
    assert f"{count} rollouts of" in site.text(f"/s/{site.slug}?view=rollouts&{query}")
    site.page(f"/s/{site.slug}?{query}")


def test_sorting_and_the_turn_of_a_hit(site: Site) -> None:
    page = site.page(f"/s/{site.slug}?view=rollouts&q=look&sort=worst")
    assert f"/s/{site.slug}/rollout/2?turn=2" in page
    lines = re.findall(r"/rollout/(\d+)\?turn", site.page(f"/s/{site.slug}?view=rollouts&sort=newest"))
    assert lines == ["4", "3", "2", "1"]


def test_a_turn(site: Site) -> None:
    text = site.text(f"/s/{site.slug}/rollout/2?turn=2")
    for part in (
        "Turn 2 of 2", "invalid action", "diagnosis by teacher: It should have walked.", "hint by teacher: Walk.",
        "You see the door already.", "Immediate feedbackenvironment", "Successful trajectorysibling",
        "In the same situation, 2 more turns", "credit by gigpo", "s:open, unchanged",
    ):  # fmt: skip
        assert part in text, part
    first = site.text(f"/s/{site.slug}/rollout/1?turn=1")
    assert "hall → door" in first
    assert "expert's actionopen doorsame as the policy" in first
    assert "judge: Well walked." in site.text(f"/s/{site.slug}/rollout/1?turn=2")


def test_a_source_that_is_missing_says_why(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [lost()])
    client = create_app(Sources([tmp_path])).test_client()
    page = client.get(rollout_path(tmp_path / "a.jsonl", 1)).text
    assert "no other rollout of this task won" in page


def test_turns_are_linked_and_an_address_beyond_the_end_shows_the_last(site: Site) -> None:
    page = site.page(f"/s/{site.slug}/rollout/1?turn=1")
    assert re.search(r'href="/s/[^"]+/rollout/1\?turn=2" rel="next"', page)
    assert "Turn 2 of 2" in site.text(f"/s/{site.slug}/rollout/1?turn=99")
    assert "Turn 1 of 2" in site.text(f"/s/{site.slug}/rollout/1?turn=x")


def test_where_winner_and_loser_part(site: Site) -> None:
    text = site.text(f"/s/{site.slug}/task/9f")
    assert "The first winner and the first other rollout part at turn 2: the winner did go, the other look." in text
    text = site.text(f"/difference?a={site.slug}:1&b={site.slug}:2")
    assert "They part at turn 2: the actions differ." in text
    assert "No turn differs." in site.text(f"/difference?a={site.slug}:1&b={site.slug}:3")


def test_situations_with_actions_returns_and_credit(site: Site) -> None:
    page = site.page(f"/s/{site.slug}/task/9f")
    text = unescape(re.sub(r"<[^>]*>", " ", page))
    assert re.search(r"Situation \d+ +· 3 turns", text)
    assert re.search(r"go +2 +2 of 2 +1 ", text)
    assert re.search(r"look +1 +0 of 1 +0 ", text)
    assert "<svg" in page
    assert "✓ won" in page
    for kind in ("observation", "augmented", "similar"):
        assert "Situation" in site.text(f"/s/{site.slug}/task/9f?anchor={kind}")


def test_the_credit_is_that_of_agh_credit(site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from agentgym_hindsight.cli import main
    from agentgym_hindsight.viewer.rollouts import read_siblings
    from agentgym_hindsight.viewer.task_view import TaskView

    write_jsonl(tmp_path / "three.jsonl", [won(), lost(), won(2)])
    assert main(["credit", str(tmp_path / "three.jsonl"), "--method", "gigpo", "--method", "crbc", "--json"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    source = site.sources.get(site.slug)
    assert source is not None
    view = TaskView(read_siblings(source, "9f", -1))
    for line in printed:
        for name, value in line["credit"].items():
            assert view.credits[name][line["member"], line["step"]] == pytest.approx(value)


def test_tokens_with_overlays_and_the_reason(site: Site) -> None:
    address = f"/s/{site.run_slug}/rollout/1?turn=2"
    text = site.text(address)
    assert "Weighed most: 'go' (token 2), weight 1.1." in text
    assert "finds it more probable: gap 0.7 (policy 30.1 %, teacher 60.7 %)" in text
    assert "exp(+gap) = 2.01, bounded to 1.2; with λ = 0.5 it is 1.1." in text
    assert "Its advantage in the loss: 0.55." in text
    for overlay in ("gap", "raw", "bounded", "advantage", "logprob", "teacher", "entropy", "mask"):
        page = site.page(f"{address}&tokens={overlay}")
        assert page.count('aria-current="true"') == 1
        assert re.search(r'<span class="w (?:up|down)5 act" title="token 2:', page), overlay
    assert "weighed most: 'open door' in turn 1, weight 1.1" in text


def test_the_teacher_prompt_with_what_was_cut_off(site: Site) -> None:
    page = site.page(f"/s/{site.run_slug}/rollout/1?turn=1")
    assert "decoded from the recorded ids" in page
    assert re.search(r'<mark class="hind"[^>]*> Immediate feedback:\nA \[… 7 characters left out …\]</mark>', page)
    assert re.search(r"<del[^>]*>garden</del>", page)


def test_a_reason_for_a_mask_is_shown(tmp_path: Path) -> None:
    record = sample(won())
    for step in record["steps"]:
        step |= {"mask_reason": "there was no context for the teacher", "teacher_read": "", "context": ""}
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "samples.jsonl").write_text(json.dumps(record) + "\n")
    page = create_app(Sources([tmp_path])).test_client().get(rollout_path(tmp_path, 1)).text
    assert "The teacher weighed no token: </b>there was no context for the teacher" in page


def test_samples_of_earlier_releases(tmp_path: Path) -> None:
    old = {
        "update": 0, "task_id": "9f", "goal": "Find it.", "won": True, "sibling": 1,
        "steps": [{"prompt": "You see.", "tokens": ["lo", "ok"], "weights": [1.0, 1.2], "gaps": [0, 1]}],
    }  # fmt: skip
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "samples.jsonl").write_text(json.dumps(old) + "\n")
    page = create_app(Sources([tmp_path])).test_client().get(rollout_path(tmp_path, 1)).text
    assert "weight 1.2" in page
    assert "You see." in page


def test_two_runs_on_one_panel(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [won(0, "t1"), won(0, "t2"), won(0, "only")])
    write_jsonl(tmp_path / "b.jsonl", [lost(0, "t1"), won(0, "t2")])
    client = create_app(Sources([tmp_path])).test_client()
    first, second = (source_slug(tmp_path / name) for name in ("a.jsonl", "b.jsonl"))
    text = unescape(re.sub(r"<[^>]*>", "", client.get(f"/compare?a={first}&b={second}").text))
    assert "Success over the 2 tasks of both: 100% and 50%. Paired difference: +50 points" in text
    assert "95 % interval −26.9 to +90.5" in text or "95 % interval" in text
    assert "1 tasks that only one of them played are left out." in text
    assert "… truncated" in text  # how the rollout ended, as in the lists
    assert "✗ lost" not in text
    policies = client.get(f"/compare?a={second}|learner&b={second}|expert").text
    assert "no task in common" in policies


@pytest.mark.parametrize(
    "env", ["ALFWorld-Hindsight-v0", "WebShop-Hindsight-v0", "AppWorld-Hindsight-v0", "TauBench-Hindsight-v0", HOSTILE]
)
def test_hostile_texts_on_every_page(env: str, tmp_path: Path) -> None:
    name = "evil<b>'\"&.jsonl"
    write_jsonl(tmp_path / name, [hostile(env, number) for number in range(3)])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps({"recipe": HOSTILE, "seed": HOSTILE}))
    (tmp_path / "run" / "metrics.jsonl").write_text('{"update": 0, "success": 0.5}\n')
    evil = sample(hostile(env), text=HOSTILE, mask_reason=HOSTILE)
    for step in evil["steps"]:
        step |= {
            "prompt_read": HOSTILE,
            "teacher_read": f"{HOSTILE} and {HOSTILE}",
            "context": HOSTILE,
            "context_uncut": HOSTILE,
        }
    (tmp_path / "run" / "samples.jsonl").write_text(json.dumps(evil) + "\n" + f"{HOSTILE}\n")
    sources = Sources([tmp_path])
    client = create_app(sources).test_client()
    pages = ["/"]
    for source in sources.find():
        pages += [f"/s/{source.slug}", f"/s/{source.slug}?view=rollouts&q=owned", f"/s/{source.slug}?q={HOSTILE}"]
        pages += [f"/s/{source.slug}/rollout/1?turn={turn}&tokens={HOSTILE}" for turn in (1, 2, 3, 4)]
        pages += [
            f"/difference?a={source.slug}:1&b={source.slug}:1&whole=1",
            f"/compare?a={source.slug}&b={source.slug}|{HOSTILE}",
        ]
        listed = client.get(f"/s/{source.slug}").text
        pages += [unescape(address) for address in re.findall(r'href="(/s/[^"]+/task[/?][^"]+)"', listed)]
        assert any("/task" in page for page in pages)
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, (page, answer.text[:3000])
        check(answer.text)
    out = tmp_path / "out.html"
    export_page(sources, out)
    check(out.read_text(encoding="utf-8").replace((Path(__file__).parents[2] / "x").name, ""))


def test_wrong_addresses_are_pages(site: Site) -> None:
    for address, status in (
        ("/s/none", 404), (f"/s/{site.slug}/rollout/99", 404), (f"/s/{site.slug}/task/none", 404), ("/difference", 400),
        (f"/s/{site.slug}/rollout/{10**30}", 404), (f"/difference?a={site.slug}:1&b=x", 400),
        ("/compare", 404),
        (f"/s/{site.slug}/task/9f?update={10**30}", 404), (f"/<b>{'x' * 50}", 404),
    ):  # fmt: skip
        site.page(address, status)
    assert site.client.post("/").status_code == 405


def test_only_names_of_this_machine_are_answered(site: Site) -> None:
    client = create_app(site.sources, hosts={"localhost"}).test_client()
    assert client.get("/live.json", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/live.json", headers={"Host": "localhost:8470"}).status_code == 200


def test_live_changes_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    write_jsonl(file, [won()])
    client = create_app(Sources([tmp_path])).test_client()
    address = f"/live.json?s={source_slug(file)}"
    before: dict[str, Any] = client.get(address).json or {}
    assert before == client.get(address).json
    assert (before["rollouts"], before["done"]) == (1, True)
    with file.open("ab") as opened:
        opened.write(dump_trajectory(lost()).encode()[:50])
    assert (client.get(address).json or {})["rollouts"] == 1
    write_jsonl(file, [lost()], append=True)  # ends the incomplete line first
    after: dict[str, Any] = client.get(address).json or {}
    assert after["rollouts"] == 2
    assert after["version"] != before["version"]
    write_jsonl(tmp_path / "new.jsonl", [won()])
    assert "new.jsonl" in client.get("/").text


def test_a_run_without_samples_waits_for_them(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"recipe": "serl"}')
    client = create_app(Sources([tmp_path])).test_client()
    address = f"/s/{source_slug(tmp_path)}"
    assert "waits for it" in client.get(address).text
    (tmp_path / "samples.jsonl").write_text(json.dumps(sample(won())) + "\n")
    assert "1 rollouts of 1 tasks" in client.get(address).text


def test_the_export_is_one_file_with_all_pages(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    site.sources.refresh()
    written = export_page(site.sources, out)
    assert (written.rollouts, written.left_out) == (6, 0)
    page = out.read_text(encoding="utf-8")
    assert is_export(out)
    structure = Structure()
    structure.feed(page)
    targets = {address[1:] for address in structure.loads}
    assert all(address.startswith("#") for address in structure.loads)
    assert targets - {"home"} <= set(structure.ids), targets - set(structure.ids)
    assert len(structure.ids) == len(set(structure.ids))
    assert "Weighed most" in page
    assert export_page(site.sources, out, most=2).left_out == 4


def test_the_export_of_two_runs_has_their_comparison(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [won(0, "t1"), won(0, "t2"), won(0, "only")])
    write_jsonl(tmp_path / "b.jsonl", [lost(0, "t1"), won(0, "t2")])
    sources, out = Sources([tmp_path]), tmp_path / "out.html"
    sources.refresh()

    def sections() -> dict[str, str]:
        page = out.read_text(encoding="utf-8")
        found = re.findall(r'<section id="((?:home|compare|difference)[^"]*)">(.*?)</section>', page, re.DOTALL)
        structure = Structure()
        structure.feed(page)
        assert {address[1:] for address in structure.loads} <= set(structure.ids)
        assert len(structure.ids) == len(set(structure.ids))
        return dict(found)

    export_page(sources, out)
    found = sections()
    assert set(found) == {"home", "compare", "difference-1", "difference-2"}
    assert 'href="#compare"' in found["home"]
    text = unescape(re.sub(r"<[^>]*>", "", found["compare"]))
    assert "Success over the 2 tasks of both: 100% and 50%. Paired difference: +50 points" in text
    assert found["compare"].count('href="#difference-') == 2
    assert "They part at turn 2: the actions differ." in found["difference-1"]
    assert "No turn differs." in found["difference-2"]
    # The comparison counts all rollouts; pages are only of those that fit. Each file gets a half of the room.
    assert export_page(sources, out, most=2).left_out == 3
    found = sections()
    assert "Paired difference: +50 points" in unescape(re.sub(r"<[^>]*>", "", found["compare"]))
    assert set(found) == {"home", "compare", "difference-1"}


def test_the_export_of_one_policy_has_no_comparison(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [won(0, "t1"), won(1, "t1")])
    sources, out = Sources([tmp_path / "a.jsonl"]), tmp_path / "out.html"
    sources.refresh()
    export_page(sources, out)
    assert "compare" not in re.findall(r' id="([^"]+)"', out.read_text(encoding="utf-8"))


def test_arrows_that_lead_back_are_inside_the_drawing() -> None:
    start, end = _State(0, x=550.0, y=30.0), _State(0, x=40.0, y=30.0)
    _, control_y = (float(part) for part in re.search(r"Q(\S+ \S+)", _path(start, end))[1].split())  # type: ignore[index]
    highest = min((1 - t) ** 2 * 30 + 2 * t * (1 - t) * control_y + t * t * 30 for t in (0.4, 0.5, 0.6))
    assert highest < 0  # outside of a drawing that begins at 0
    assert _top(start, end) <= highest
