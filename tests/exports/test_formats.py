"""Every format gives back what was written, in the order of the file, whatever the texts are."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.errors import HindsightError, SchemaError, UnknownNameError, UsageError
from agentgym_hindsight.exports import atif, messages, sts
from agentgym_hindsight.exports.exact import exact_text, from_exact_text
from agentgym_hindsight.exports.formats import FORMATS, export_rollouts, import_rollouts
from agentgym_hindsight.hindsight.jsonl import read_jsonl, write_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory
from tests.exports.rollouts import ALL, TOKENS, broken, conversation, hostile, with_all

#: Format → a place to write several rollouts.
PLACES = {"atif": "folder", "messages": "a.jsonl", "verl": "a.parquet", "sts": "folder", "parquet": "a.parquet"}


def needs(name: str) -> None:
    if name in ("verl", "parquet"):
        pytest.importorskip("pyarrow", reason="needs the extra [train]")


@pytest.mark.parametrize("name", FORMATS)
def test_all_comes_back(name: str, tmp_path: Path) -> None:
    needs(name)
    out = tmp_path / PLACES[name]
    assert export_rollouts(ALL, name, out) == len(ALL)
    found = import_rollouts(out, name)
    assert found.problems == ()
    if name == "verl":  # a row a task: siblings are together
        assert sorted(map(exact_text, found.trajectories)) == sorted(map(exact_text, ALL))
    else:
        assert found.trajectories == ALL


def test_a_file_of_one_document_a_line(tmp_path: Path) -> None:
    export_rollouts(ALL, "atif", tmp_path / "all.jsonl")
    assert import_rollouts(tmp_path / "all.jsonl", "atif").trajectories == ALL
    assert len((tmp_path / "all.jsonl").read_bytes().splitlines()) == len(ALL)


def test_rows_of_turns_come_back(tmp_path: Path) -> None:
    export_rollouts(ALL, "messages", tmp_path / "turns.jsonl", rows="turn")
    assert import_rollouts(tmp_path / "turns.jsonl", "messages").trajectories == ALL
    rows = [json.loads(line) for line in (tmp_path / "turns.jsonl").read_text().splitlines()]
    assert len(rows) == sum(max(1, len(each)) for each in ALL)
    last = rows[-1]  # the second turn of the conversation: all messages that the policy saw
    assert [message["content"] for message in last["prompt"]] == ["Find it. A hall.", "north", "A room."]
    assert last["completion"] == [{"role": "assistant", "content": "look"}]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_several_rollouts_in_a_file_of_one(suffix: str, tmp_path: Path) -> None:
    name = "atif" if suffix == ".json" else "sts"
    out = tmp_path / f"one{suffix}"
    assert export_rollouts(ALL[:1], name, out) == 1
    assert import_rollouts(out, name).trajectories == ALL[:1]
    before = out.read_bytes()
    with pytest.raises(UsageError, match="Expected one rollout for the file"):
        export_rollouts(ALL, name, out)
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


def test_exact_text_is_ascii() -> None:
    assert exact_text(hostile()).isascii()
    assert from_exact_text(exact_text(hostile())) == hostile()


# -- what stands where ------------------------------------------------------------------------------------------------


def test_atif_has_the_tokens_where_the_format_has_a_place() -> None:
    document = atif.to_atif(with_all())
    first, turn = document["steps"][:2]
    assert (first["source"], turn["source"]) == ("user", "agent")
    assert turn["message"] == with_all().steps[0].response
    assert turn["metrics"] == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "prompt_token_ids": [1, 2, 3],
        "completion_token_ids": [4, 5],
        "logprobs": [-0.5, -0.25],
        "extra": {
            name: TOKENS[name]
            for name in ("texts", "teacher_logprobs", "gaps", "weights", "advantages", "mask", "credit")
        },
    }
    assert turn["extra"]["agentgym_hindsight"]["anchor"] == with_all().steps[0].anchor
    assert document["final_metrics"]["extra"] == {"won": True, "score": 1.0, "total_reward": 10.0, "outcome": "won"}
    assert "exact" not in document["extra"]["agentgym_hindsight"]


def test_messages_have_the_tokens_of_each_turn() -> None:
    [row] = messages.to_rows(with_all())
    assert row["credits"] == [1.5, None]
    assert row["gaps"] == [[0.25, -0.25], []]
    assert row["weights"][0] == [1.2, 0.8]
    assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * 2
    turns = messages.to_rows(with_all(), "turn")
    assert [turn["credit"] for turn in turns] == [1.5, None]
    assert turns[0]["response_ids"] == [4, 5]


def test_no_text_is_markup_or_a_line_of_its_own(tmp_path: Path) -> None:
    for line in sts.to_sts(hostile()):
        assert json.dumps(line).count("\n") == 0
    export_rollouts([hostile()], "sts", tmp_path / "one.jsonl")
    data = (tmp_path / "one.jsonl").read_bytes()
    assert data.isascii()
    assert data.count(b"\n") == 4  # the session, the world, the reply, the world


def test_rollout_without_turns() -> None:
    assert atif.to_atif(broken())["steps"] == [{"step_id": 1, "source": "user", "message": "Find the lamp."}]
    assert messages.to_rows(broken())[0]["messages"] == []
    assert len(messages.to_rows(broken(), "turn")) == 1


def test_tokens_of_another_kind_stay_in_the_exact_copy(tmp_path: Path) -> None:
    odd = with_all()
    step = odd.steps[1].__class__(
        0, "A", "b", "C", "D", extra={"tokens": {"gaps": ["x"], "credit": "7", "response_ids": [1.5], "logprobs": 3}}
    )
    odd = odd.replace(steps=(step,))
    assert "metrics" not in atif.to_atif(odd)["steps"][1]
    assert messages.to_rows(odd)[0]["gaps"] == [[]]
    assert atif.from_atif(atif.to_atif(odd)) == odd


# -- documents of other programs --------------------------------------------------------------------------------------


def test_a_foreign_atif_document() -> None:
    document = {
        "schema_version": "ATIF-v1.4",
        "session_id": "s",
        "agent": {"name": "mini", "version": "1"},
        "steps": [
            {"step_id": 1, "source": "system", "message": "You act."},
            {"step_id": 2, "source": "user", "message": "Find the lamp."},
            {
                "step_id": 3,
                "source": "agent",
                "message": "I look.",
                "tool_calls": [{"tool_call_id": "c", "function_name": "act", "arguments": {"action": "look"}}],
                "observation": {"results": [{"source_call_id": "c", "content": "A hall."}]},
                "metrics": {"prompt_token_ids": [1], "completion_token_ids": [2, 3], "logprobs": [-1.0, -2.0]},
            },
            {"step_id": 4, "source": "agent", "message": "Done."},
        ],
    }
    found = atif.from_atif(document)
    assert found.policy == "mini"
    assert [step.observation for step in found.steps] == ["You act.\n\nFind the lamp.", "A hall."]
    assert found.steps[0].action.startswith("I look.\n[{")
    assert found.steps[0].feedback == "A hall."
    assert found.steps[0].extra["tokens"] == {
        "prompt_ids": [1],
        "response_ids": [2, 3],
        "logprobs": [-1.0, -2.0],
    }
    assert found.extra["atif"] == document


def test_foreign_chats(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}], "id": 3},
        {"prompt": "Hi", "completion": "Yes?"},
        {"prompt": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], "completion": []},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second, third = import_rollouts(path, "messages").trajectories
    assert first.actions == second.actions == ("Yes?",)
    assert first.task_id == second.task_id == third.task_id
    assert first.extra["row"] == {"id": 3}
    assert (third.actions, third.final_observation) == ((), "Hi")


def test_a_foreign_session(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    lines = [
        {"type": "session", "harness": "llama.app", "id": "7", "name": "A chat"},
        {"type": "message", "message": {"role": "user", "content": "Hi"}},
        {"type": "message", "message": {"role": "assistant", "content": "", "toolCalls": [{"id": "c"}]}},
        {"type": "message", "message": {"role": "tool", "content": "A hall.", "toolCallId": "c"}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    [found] = import_rollouts(path, "sts").trajectories
    assert (found.goal, found.actions, found.final_observation) == ("A chat", ('[{"id": "c"}]',), "A hall.")


BAD_ATIF = [
    ([], "Expected an ATIF document, got list"),
    ({}, "Expected ATIF-v1.0 to v1.8, got 'None'"),
    ({"schema_version": "ATIF-v2.0"}, "got 'ATIF-v2.0'"),
    ({"schema_version": "ATIF-v1.4", "steps": [1]}, "Expected steps as a list of objects"),
    (
        {"schema_version": "ATIF-v1.4", "steps": [], "extra": {"agentgym_hindsight": {}}},
        "Expected extra.agentgym_hindsight.trajectory as an object",
    ),
    (
        {
            "schema_version": "ATIF-v1.4",
            "steps": [{"source": "agent"}],
            "extra": {"agentgym_hindsight": {"trajectory": {}}},
        },
        "got 1 steps without it",
    ),
]


@pytest.mark.parametrize(("document", "words"), BAD_ATIF)
def test_bad_documents(document: object, words: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=words.replace("[", r"\[")):
        atif.from_atif(document)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(document))
    [problem] = import_rollouts(path, "atif").problems
    assert words in problem.cause


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'atif'"):
        export_rollouts([], "atiff", "x")
    with pytest.raises(UsageError, match="Expected no further option for the format atif, got rows"):
        export_rollouts([], "atif", "x", rows="turn")


# -- the commands -----------------------------------------------------------------------------------------------------


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollouts, out, back = tmp_path / "r.jsonl", tmp_path / "x.jsonl", tmp_path / "back.jsonl"
    write_jsonl(rollouts, ALL)
    assert main(["export", str(rollouts), "--to", "messages", "--out", str(out)]) == 0
    assert main(["import", str(out), "--from", "messages", "--out", str(back)]) == 0
    assert read_jsonl(back).trajectories == ALL
    # An existing file is kept without --fresh.
    before = out.read_bytes()
    capsys.readouterr()
    assert main(["export", str(rollouts), "--to", "messages", "--out", str(out), "--rows", "turn"]) == 2
    assert "try another --out, or --fresh" in capsys.readouterr().err.replace("\n", " ")
    assert out.read_bytes() == before
    assert main(["export", str(rollouts), "--to", "messages", "--out", str(out), "--rows", "turn", "--fresh"]) == 0
    assert out.read_bytes() != before
    # The file that is read is never the file that is written.
    assert main(["export", str(rollouts), "--to", "messages", "--out", str(rollouts), "--fresh"]) == 2
    assert read_jsonl(rollouts).trajectories == ALL


def test_a_broken_line_is_reported_and_the_others_are_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rollouts, out = tmp_path / "r.jsonl", tmp_path / "x.jsonl"
    write_jsonl(rollouts, ALL[:1])
    with rollouts.open("ab") as file:
        file.write(b'{"schema":"agentgym-hindsight/traj\n')
    write_jsonl(rollouts, ALL[1:], append=True)
    assert main(["export", str(rollouts), "--to", "messages", "--out", str(out)]) == 1
    printed = capsys.readouterr()
    assert "line 2 is left out" in printed.err.replace("\n", " ")
    assert f"({len(ALL)} rollouts as messages; 1 lines could not be read" in printed.out.replace("\n", " ")
    assert import_rollouts(out, "messages").trajectories == ALL


def test_a_failing_export_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollouts = tmp_path / "r.jsonl"
    rollouts.write_text("no rollout\n")
    for name in FORMATS:
        needs(name)
        assert main(["export", str(rollouts), "--to", name, "--out", str(tmp_path / "out")]) == 2
        assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]
        assert "Expected at least one rollout" in capsys.readouterr().err.replace("\n", " ")


def test_a_folder_of_documents_is_replaced_only_with_fresh(tmp_path: Path) -> None:
    rollouts, out = tmp_path / "r.jsonl", tmp_path / "documents"
    write_jsonl(rollouts, ALL)
    command = ["export", str(rollouts), "--to", "sts", "--out", str(out)]
    assert main(command) == 0
    assert len(list(out.iterdir())) == len(ALL)
    assert main(command) == 2
    write_jsonl(rollouts, ALL[:2])
    assert main([*command, "--fresh"]) == 0
    assert len(list(out.iterdir())) == 2
    (out / "notes.txt").write_text("mine")
    assert main([*command, "--fresh"]) == 2
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", FORMATS)
def test_other_files_give_a_message(name: str, tmp_path: Path) -> None:
    needs(name)
    given = tmp_path / "given"
    for content in (b"", b"\xff\xfe\x00", bytes(1000), b"null", b"[1, 2]", b"[" * 100_000, b"{}", b"PAR1PAR1"):
        given.write_bytes(content)
        found: tuple[Trajectory, ...] = ()
        with suppress(HindsightError):  # any other error fails the test
            found = import_rollouts(given, name).trajectories
        assert found == ()


def test_conversations_are_one_chat() -> None:
    [row] = messages.to_rows(conversation())
    assert [message["content"] for message in row["messages"]] == ["Find it. A hall.", "north", "A room.", "look"]


def test_a_trajectory_with_nothing() -> None:
    empty = Trajectory("")
    assert atif.from_atif(atif.to_atif(empty)) == empty
    assert sts.from_sts(sts.to_sts(empty)) == empty


def test_fresh_never_deletes_rollouts(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    write_jsonl(folder / "mine.jsonl", ALL)
    before = (folder / "mine.jsonl").read_bytes()
    for name in ("sts", "atif"):
        assert main(["export", str(folder / "mine.jsonl"), "--to", name, "--out", str(folder), "--fresh"]) == 2
        assert (folder / "mine.jsonl").read_bytes() == before


def test_fresh_keeps_the_older_documents_if_the_export_fails(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "mine.jsonl", ALL)
    out, empty = tmp_path / "out", tmp_path / "empty.jsonl"
    assert main(["export", str(tmp_path / "mine.jsonl"), "--to", "sts", "--out", str(out)]) == 0
    empty.write_text("")
    assert main(["export", str(empty), "--to", "sts", "--out", str(out), "--fresh"]) == 2
    assert len(list(out.iterdir())) == len(ALL)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["empty.jsonl", "mine.jsonl", "out"]
