"""The official backend with the original ``appworld`` server process, on synthetic tasks.

Needs ``$APPWORLD_PYTHON``, an interpreter with the package. The benchmark's data is not used: ``official_world.py``
creates a small data folder with the package's classes.
"""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from agentgym_hindsight.envs.appworld.official.backend import OfficialBackend
from agentgym_hindsight.envs.appworld.official.client import WorldClient
from agentgym_hindsight.envs.appworld.official.interpreter import find_interpreter
from agentgym_hindsight.envs.appworld.official.server import Server
from agentgym_hindsight.envs.appworld.official.slots import ManagedSlot
from agentgym_hindsight.envs.appworld.official.world_pool import WorldPool
from agentgym_hindsight.envs.appworld.official.world_source import WorldSource
from agentgym_hindsight.errors import BackendError, WorkerError

from . import official_world
from .official_world import LOGIN, PERSON, TASKS, solution_of

PYTHON = os.environ.get("APPWORLD_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="needs $APPWORLD_PYTHON, an interpreter with the appworld package")
ROOT_OF_CODE = Path(__file__).parents[3]
WRITE = 'apis.simple_note.create_note(title="{}", content="blue", access_token=token)'


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genuine")
    done = subprocess.run([PYTHON, official_world.__file__, str(folder)], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def source(root):
    slots = [ManagedSlot(PYTHON, root, seconds=2)]
    version = find_interpreter().version
    source = WorldSource("managed", root, WorldPool(slots, wait=5.0), lambda: version)
    source.join(source)
    yield source
    source.pool.close()


@pytest.fixture
def backend(source):
    backend = OfficialBackend(source=source)
    yield backend
    backend.close()


def begin(backend, name="aaaaaaa_1"):
    return backend.start(backend.find(name))


class TestWithoutData:
    def test_it_starts_but_opens_no_task(self, tmp_path):
        (tmp_path / "data").mkdir()
        server = Server(PYTHON, tmp_path)
        client = WorldClient(socket_path=server.socket_path, last_error=server.last_error)
        try:
            client.ready()
            assert client.version == find_interpreter().version
            with pytest.raises(BackendError, match=r"status 500 .*The task directory .* doesn't exist"):
                client.initialize("aaaaaaa_1")
            with pytest.raises(BackendError, match=r"status 500 .*has not been initialized"):
                client.execute("print(1)")
        finally:
            client.hang_up()
            server.close()


class TestEpisodes:
    @pytest.mark.parametrize("name", sorted(TASKS))
    def test_every_reference_wins_and_doing_nothing_does_not(self, backend, name):
        begin(backend, name)
        turn = backend.act(solution_of(name))
        assert (turn.valid, turn.terminated, turn.won, turn.score) == (True, True, True, 1.0)
        begin(backend, name)
        assert not backend.act("apis.supervisor.complete_task()").won

    def test_the_beginning(self, backend):
        assert begin(backend).observation == (
            "Supervisor: Ada Quill (email ada@quill.example.com, phone 5550000001)\n"
            "Date and time: 2023-05-18 12:00:00\nTask: Write a note titled ink that says blue."
        )

    def test_feedback_and_state(self, backend):
        start = begin(backend)
        read = backend.act("print(len(apis.supervisor.show_account_passwords()))")
        assert (read.observation, read.state, read.detail) == ("1\n", start.state, "")
        logged = backend.act(LOGIN.format(email=PERSON["email"]))
        wrote = backend.act(WRITE.format("ink"))
        assert wrote.detail == "simple_note: 1 row added to notes."
        assert wrote.state != logged.state
        assert backend.act("print(token[:0])").state == wrote.state
        deleted = backend.act("apis.simple_note.delete_note(note_id=3, access_token=token)")
        assert deleted.detail == "simple_note: 1 row deleted from notes."

    def test_the_same_programs_lead_to_the_same_state(self, backend):
        states = []
        for _ in range(2):
            begin(backend)
            states.append(
                [backend.act(code).state for code in (LOGIN.format(email=PERSON["email"]), WRITE.format("x"))]
            )
        assert states[0] == states[1]

    @pytest.mark.parametrize(
        ("code", "cause"),
        [
            ("1/0", "ZeroDivisionError: division by zero"),
            ("x = (1", "Syntax error in line: x = (1 Message: '(' was never closed"),
            ("apis.mail.send()", "No app named 'mail' found."),
            ("apis.simple_note.show_note(note_id=1)", "Response status code is 401: {"),
            ("while True: pass", "Execution timed out after 2 seconds."),
            ("import os; os.system('ls')", "not allowed: os.system"),
            ("", "No code available to execute."),
            ("raise SystemExit", "Exception"),
        ],
    )
    def test_causes(self, backend, code, cause):
        begin(backend)
        turn = backend.act(code)
        assert not turn.valid
        assert cause in turn.detail
        assert backend.act("print(2)").observation == "2\n"

    def test_requirements_are_shown_on_open_splits_and_traces_never(self, backend):
        begin(backend, "bbbbbbb_1")
        turn = backend.act("apis.supervisor.complete_task(answer='7')")
        assert (turn.score, turn.reward) == (0.5, 0.0), "tests that pass without any action give no reward"
        assert "Failed: The answer is what was asked for." in turn.detail
        assert "==" not in turn.detail + str(dict(turn.extra))
        begin(backend, "ccccccc_1")
        turn = backend.act("apis.supervisor.complete_task()")
        assert "requirement" not in turn.detail
        assert turn.extra["verdict"] is None

    def test_a_truncated_episode_can_be_evaluated(self, backend):
        begin(backend)
        backend.act(LOGIN.format(email=PERSON["email"]) + WRITE.format("ink"))
        assert backend.finish().failures == ("The answer is what was asked for.",)

    def test_the_expert(self, backend):
        task = backend.find("aaaaaaa_2")
        shown = backend.demonstration(task)
        assert shown.won
        begin(backend, "aaaaaaa_2")
        assert backend.expert_action() == shown.actions[0]

    def test_many_episodes_in_one_server(self, backend, source):
        server = source.pool._slots[0].server
        for _ in range(5):
            for name in sorted(TASKS):
                begin(backend, name)
                assert backend.act(solution_of(name)).won
        assert source.pool._slots[0].server is server

    def test_nothing_is_written_to_the_data_root(self, root):
        assert sorted(path.name for path in root.iterdir()) == ["data"]


class TestBreaking:
    def test_a_server_killed_during_an_episode(self, backend, source):
        begin(backend)
        os.kill(source.pool._slots[0].server.pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="try a new server"):
            backend.act("print(1)")
        begin(backend)
        assert backend.act(solution_of("aaaaaaa_1")).won

    @pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks at processes through /proc")
    def test_a_server_that_hangs_during_an_episode(self, backend, source, monkeypatch):
        monkeypatch.setattr("agentgym_hindsight.envs.appworld.official.client._GRACE", 1.0)
        begin(backend)
        launcher = source.pool._slots[0].server.pid
        (inner,) = map(int, Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split())
        os.kill(inner, signal.SIGSTOP)
        with pytest.raises(WorkerError, match="got none; try a new server"):
            backend.act("print(1)")
        assert not Path(f"/proc/{inner}").exists()


class TestInProcess:
    def test_an_episode(self, root):
        script = f"""
import sys
sys.path.insert(0, {str(ROOT_OF_CODE)!r})
sys.path.insert(0, {str(Path(__file__).parent)!r})
try:
    import gymnasium, rapidfuzz
except ImportError:
    sys.exit(77)
from official_world import TASKS, solution_of
from agentgym_hindsight.envs.appworld.official import OfficialBackend
backend = OfficialBackend(root={str(root)!r}, in_process=True, seconds=5)
for name in sorted(TASKS):
    backend.start(backend.find(name))
    assert not backend.act("1/0").valid
    assert backend.act(solution_of(name)).won, name
other = OfficialBackend(root={str(root)!r}, in_process=True, seconds=5)
backend.start(backend.find("aaaaaaa_1"))
try:
    other.start(other.find("aaaaaaa_1"))
except Exception as error:
    assert "all 1 are in use" in str(error), error
backend.close()
print(backend.name, backend._source.kind)
"""
        folder = root.parent / "in-process"
        folder.mkdir()
        done = subprocess.run([PYTHON, "-W", "ignore", "-c", script], capture_output=True, text=True, cwd=folder)
        if done.returncode == 77:
            pytest.skip("the interpreter has appworld but not this library's base dependencies")
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.split() == [f"official/{find_interpreter().version}", "in-process"]
