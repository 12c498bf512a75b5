"""The official backend with the stand-in server: turns, hidden splits, broken episodes, settings."""

import sys
import threading

import gymnasium as gym
import pytest

from agentgym_hindsight.envs.appworld.official.backend import OfficialBackend, _names_bound
from agentgym_hindsight.envs.appworld.official.ground_truth import reference_program
from agentgym_hindsight.envs.appworld.official.interpreter import check_interpreter, find_data, find_interpreter
from agentgym_hindsight.envs.appworld.official.replies import cause_of, read_verdict
from agentgym_hindsight.envs.appworld.official.slots import ManagedSlot
from agentgym_hindsight.envs.appworld.official.world_pool import WorldPool
from agentgym_hindsight.envs.appworld.official.world_source import WorldSource, default_server_count, shared_source
from agentgym_hindsight.envs.base import HindsightEnv
from agentgym_hindsight.errors import (
    BackendError,
    DamagedDataError,
    MissingDataError,
    ResetNeededError,
    UnknownNameError,
    UsageError,
    WorkerError,
)

from . import stand_in_server
from .stand_in_server import REFUSED, REFUSED_SOCKET, at_url, make_data

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="servers need Unix sockets"),
    pytest.mark.filterwarnings(REFUSED_SOCKET),
]


@pytest.fixture(autouse=True)
def _no_environment_settings(monkeypatch, tmp_path):
    for name in ("APPWORLD_PYTHON", "APPWORLD_ROOT", "APPWORLD_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_DATA", str(tmp_path / "nothing"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = make_data(tmp_path_factory.mktemp("appworld"))
    slots = [
        ManagedSlot(sys.executable, root, command=(stand_in_server.__file__, "{fd}"), seconds=1, starting=20.0)
        for _ in range(2)
    ]
    source = WorldSource("managed", root, WorldPool(slots, wait=2.0), lambda: "0.1.3.stand-in")
    source.join(source)  # keeps the servers running between tests
    yield source
    source.pool.close()


@pytest.fixture
def backend(source):
    backend = OfficialBackend(source=source)
    yield backend
    backend.close()


def begin(backend, split="train", index=0):
    return backend.start(backend.task(split, index))


class TestTasks:
    def test_splits_and_names(self, backend):
        assert backend.name == "official/0.1.3.stand-in"
        splits = ("train", "dev", "test_normal", "test_challenge")
        assert [backend.count(split) for split in splits] == [2, 1, 1, 0]
        task = backend.task("train", 0)
        assert (task.locator, task.category, task.split) == ("train/aaaaaaa_1", "difficulty-2", "train")
        assert task.id == "1fb2742175d7ec5a"  # the same on every machine
        assert backend.find(task.id) == backend.find("aaaaaaa_1") == task
        with pytest.raises(UnknownNameError, match="split of AppWorld"):
            backend.count("trian")
        with pytest.raises(UnknownNameError, match="task id of AppWorld"):
            backend.find("zzzzzzz_1")

    def test_the_first_observation(self, backend):
        turn = begin(backend)
        assert turn.observation == (
            "Supervisor: Ada Quill (email ada@quill.example.com, phone 5550000001)\n"
            "Date and time: 2023-05-18 12:00:00\nTask: Do aaaaaaa_1."
        )
        assert turn.extra["verdict"] is None
        assert turn.extra["appworld_task"] == "aaaaaaa_1"


class TestTurns:
    def test_a_program_that_writes(self, backend):
        start = begin(backend)
        turn = backend.act("write")
        assert (turn.valid, turn.terminated, turn.score) == (True, False, 0.0)
        assert turn.detail == "simple_note: 1 row added to notes."
        assert turn.state != start.state

    def test_a_program_that_reads_keeps_the_state(self, backend):
        start = begin(backend)
        turn = backend.act("show")
        assert (turn.state, turn.detail) == (start.state, "")

    def test_bound_names_are_part_of_the_state(self, backend):
        start = begin(backend)
        one, same = backend.act("x = 1"), backend.act("print(x)")
        assert one.state == same.state != start.state

    def test_the_same_writes_give_the_same_state(self, backend):
        begin(backend)
        backend.act("show")
        backend.act("fail")
        late = backend.act("write").state
        begin(backend)
        assert backend.act("write").state == late

    def test_a_refused_call(self, backend):
        begin(backend)
        turn = backend.act("fail")
        assert turn.observation == REFUSED
        assert not turn.valid
        assert turn.detail == 'Exception: Response status code is 401: {"message":"No token."}'

    def test_no_code_at_all(self, backend):
        begin(backend)
        turn = backend.act(" \n")
        assert (turn.valid, turn.detail) == (False, "No code available to execute.")

    def test_a_lone_surrogate_is_accepted(self, backend):
        begin(backend)
        assert backend.act("x = '\ud800'").valid


class TestTheEnd:
    def test_won(self, backend):
        begin(backend)
        turn = backend.act("write complete")
        assert (turn.terminated, turn.won, turn.score, turn.reward) == (True, True, 1.0, 1.0)
        assert turn.detail == (
            "simple_note: 1 row added to notes.\n2 of 2 requirements hold.\n"
            "Passed: Nothing else changed.\nPassed: A note was written."
        )
        with pytest.raises(ResetNeededError):
            backend.act("more")

    def test_a_failure_shows_requirements_but_no_traces(self, backend):
        begin(backend, "dev")
        turn = backend.act("complete")
        assert (turn.terminated, turn.won, turn.score) == (True, False, 0.5)
        assert "Failed: A note was written." in turn.detail
        assert "SECRET" not in str((*turn, dict(turn.extra)))
        assert turn.extra["verdict"].failures == ("A note was written.",)

    def test_closed_splits_show_only_the_score(self, backend):
        begin(backend, "test_normal")
        assert backend.expert_action() == ""
        turn = backend.act("complete")
        assert (turn.won, turn.score, turn.detail, turn.extra["verdict"]) == (False, 0.5, "", None)
        assert "note was written" not in repr(backend.finish())
        assert backend.finish().score == 0.5
        task = backend.task("test_normal", 0)
        assert backend.demonstration(task) is None
        with pytest.raises(UsageError, match="test_normal, whose solutions are hidden"):
            reference_program(backend.library.root, "test_normal", "ccccccc_1")

    def test_a_truncated_episode_can_be_evaluated(self, backend, source):
        begin(backend)
        backend.act("write")
        assert source.pool.leased == 1
        assert backend.finish().won
        assert backend.finish().won  # evaluated once
        assert source.pool.leased == 0

    def test_the_expert(self, backend, source):
        begin(backend)
        program = backend.expert_action()
        assert program == "def solution(apis, requester):\n    'write complete'\n\nsolution(apis, requester)\n"
        shown = backend.demonstration(backend.task("train", 0))  # does not affect the running episode
        assert (shown.won, shown.policy, shown.actions) == (True, "expert", (program,))
        assert shown.steps[0].anchor == f"s:{begin(backend).state}"
        assert shown is backend.demonstration(backend.task("train", 0))
        assert backend.act(program).won
        assert backend.expert_action() == ""
        assert source.pool.leased == 0


class TestBrokenEpisodes:
    @pytest.mark.parametrize(
        ("program", "cause"),
        [
            ("die", "RemoteProtocolError|ReadError|ConnectError"),
            ("garbage", "Expected JSON from /execute .* got 14 bytes"),
            ("nothing", "Expected an output from /execute"),
        ],
    )
    def test_the_episode_ends_and_the_next_one_works(self, backend, source, program, cause):
        begin(backend)
        with pytest.raises(WorkerError, match=cause):
            backend.act(program)
        with pytest.raises(ResetNeededError):
            backend.act("write")
        assert source.pool.leased == 0
        begin(backend)
        assert backend.act("write complete").won

    def test_a_server_that_hangs(self, backend, monkeypatch):
        begin(backend)
        backend._world.seconds = 0
        with monkeypatch.context() as patch:
            patch.setattr("agentgym_hindsight.envs.appworld.official.client._GRACE", 0.2)
            with pytest.raises(WorkerError, match=r"within 0\.2 s, got none; try a new server, or more seconds"):
                backend.act("hang")
        begin(backend)
        assert backend.act("write").valid

    def test_a_reply_that_is_too_large(self, backend, monkeypatch):
        monkeypatch.setattr("agentgym_hindsight.envs.appworld.official.client._MAX_BYTES", 10)
        with pytest.raises(WorkerError, match="at most 10 bytes"):
            begin(backend)

    def test_a_start_during_an_episode_ends_it(self, backend, source):
        begin(backend)
        backend.act("write")
        begin(backend)
        assert source.pool.leased == 1
        assert backend.act("complete").score == 0.5


class TestSettings:
    def test_servers_at_urls(self, tmp_path, monkeypatch):
        root = make_data(tmp_path)
        server = at_url(root)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # the folder of the lock files
        monkeypatch.setenv("APPWORLD_SERVERS", f"http://127.0.0.1:{server.server_port}")
        backend = OfficialBackend(root=root)
        try:
            assert backend.name == "official/0.1.3.stand-in"
            start = begin(backend)
            turn = backend.act("write complete")
            assert turn.won
            assert turn.extra["world"] == "urls"
            assert turn.state != start.state  # a hash of the outputs, because the database is not visible
            assert turn.detail.startswith("2 of 2")
        finally:
            backend.close()
            server.shutdown()
            server.server_close()
            thread.join()

    def test_no_package_installed(self, tmp_path):
        with pytest.raises(MissingDataError, match="agh data install appworld"):
            OfficialBackend(root=make_data(tmp_path))

    def test_an_interpreter_without_the_package(self, monkeypatch):
        monkeypatch.setenv("APPWORLD_PYTHON", sys.executable)
        with pytest.raises(MissingDataError, match="Expected the appworld package in"):
            find_interpreter()

    def test_a_program_that_is_no_interpreter(self, tmp_path):
        with pytest.raises(BackendError, match="another APPWORLD_PYTHON"):
            check_interpreter(str(tmp_path / "python"), "$APPWORLD_PYTHON")
        fake = tmp_path / "fake"
        fake.write_text("#!/bin/sh\necho '[]'\n")
        fake.chmod(0o755)
        with pytest.raises(BackendError, match="another APPWORLD_PYTHON"):
            check_interpreter(str(fake), "$APPWORLD_PYTHON")

    @pytest.mark.parametrize(
        ("reply", "error", "cause"),
        [
            ('{"version": "0.2.0", "unpacked": true}', BackendError, "Expected appworld 0.1"),
            ('{"version": "0.1.3", "unpacked": false}', MissingDataError, "found them packed"),
        ],
    )
    def test_a_package_of_another_version_or_still_packed(self, tmp_path, reply, error, cause):
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\necho '{reply}'\n")
        python.chmod(0o755)
        with pytest.raises(error, match=cause):
            check_interpreter(str(python), "$APPWORLD_PYTHON")

    def test_the_data_folder(self, tmp_path, monkeypatch):
        with pytest.raises(MissingDataError, match="Expected AppWorld's tasks in"):
            find_data(tmp_path)
        root = make_data(tmp_path)
        monkeypatch.setenv("APPWORLD_ROOT", str(root))
        assert find_data() == root
        for name in stand_in_server.TASKS:
            (root / "data" / "tasks" / name / "specs.json").write_text('{"db_version": "0.2.0"}')
        with pytest.raises(DamagedDataError, match=r"Expected AppWorld data 0\.1\.0"):
            find_data(root)

    @pytest.mark.parametrize(
        ("settings", "cause"),
        [
            ({"servers": 0}, "servers as a whole number"),
            ({"urls": "http://a"}, r"try urls=\['http://a'\]"),
            ({"in_process": True, "servers": 2}, "try only one"),
        ],
    )
    def test_invalid_settings(self, settings, cause):
        with pytest.raises(UsageError, match=cause):
            shared_source(**settings)

    def test_the_default_server_count(self):
        assert default_server_count() >= 1


class TestReading:
    def test_the_cause_of_a_failure(self):
        assert cause_of("Execution successful.") == ""
        broken = "Execution failed. Traceback:\nSyntax error in line:\nx = (1\nMessage: '(' was never closed"
        assert cause_of(broken) == "Syntax error in line: x = (1 Message: '(' was never closed"
        assert cause_of("Execution failed. Traceback:\n") == "The program failed without a message."

    def test_checks_that_did_not_run_count_as_failures(self):
        verdict = read_verdict({"num_tests": 3, "passes": [{"requirement": "a"}], "failures": []})
        assert (verdict.won, verdict.score) == (False, 1 / 3)

    @pytest.mark.parametrize("odd", [None, [], {"passes": []}, {"passes": "x", "failures": []}])
    def test_invalid_results(self, odd):
        with pytest.raises(WorkerError):
            read_verdict(odd)

    def test_bound_names(self):
        code = (
            "import json as j\nfor i in x:\n  a, (b, *c) = i\ndef f(): q = 1\nclass K: z = 1\n[y for y in x]\nd[0] = 1"
        )
        assert _names_bound(code) == {"j", "i", "a", "b", "c", "f", "K"}
        assert _names_bound("x = (") == _names_bound("\0") == frozenset()
        assert _names_bound("(" * 100_000) == frozenset()


def test_behind_gymnasium(source):
    class Env(HindsightEnv):
        splits = ("train", "dev", "test_normal", "test_challenge")

    env = Env(OfficialBackend(source=source), expert=True)
    assert isinstance(env, gym.Env)
    _, info = env.reset(options={"task_id": "aaaaaaa_1"})
    assert "def solution" in info["expert_action"]
    _, reward, terminated, _, info = env.step("complete")
    assert (reward, terminated, info["won"], info["score"]) == (0.0, True, False, 0.5), "ending at once gives no reward"
    (hindsight,) = info["hindsight"].episode
    assert "Failed: A note was written." in hindsight.immediate_feedback.detail
    assert "def solution" in hindsight.successful_trajectory.text
    env.close()
