"""Servers, slots and pools of the official backend, against a stand-in server that misbehaves on command."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentgym_hindsight.envs.appworld.official.client import WorldClient
from agentgym_hindsight.envs.appworld.official.server import Server
from agentgym_hindsight.envs.appworld.official.slots import ManagedSlot, UrlSlot
from agentgym_hindsight.envs.appworld.official.world_pool import WorldPool
from agentgym_hindsight.errors import BackendError, WorkerError

from . import stand_in_server
from .stand_in_server import at_url, make_data

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="servers need Unix sockets")
STAND_IN = (stand_in_server.__file__, "{fd}")


@pytest.fixture
def root(tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return make_data(tmp_path)


def slot(root, *mood, **settings):
    return ManagedSlot(sys.executable, root, command=(*STAND_IN, *mood), **{"starting": 20.0, "seconds": 1, **settings})


@contextmanager
def pool_of(*slots, wait=5.0):
    pool = WorldPool(slots, wait=wait)
    try:
        yield pool
    finally:
        pool.close()


@contextmanager
def served(root):
    server = at_url(root)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def gone(pid, within=5.0):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if (
            Path(f"/proc/{pid}/stat").exists()
            and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        ):
            return True
        time.sleep(0.02)
    return False


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks at processes through /proc")


class TestServer:
    def test_a_request_waits_for_the_server_to_start(self, root):
        server = Server(sys.executable, root, command=STAND_IN)
        client = WorldClient(socket_path=server.socket_path)
        try:
            client.ready(within=20.0)
            assert client.version == "0.1.3.stand-in"
        finally:
            client.hang_up()
            server.close()
        assert not server.alive
        assert not server.folder.exists()
        server.close()  # again

    def test_its_folder_goes_but_the_data_stays(self, root):
        server = Server(sys.executable, root, command=STAND_IN)
        assert (server.folder / "data" / "datasets" / "train.txt").is_file()
        assert server.folder.stat().st_mode & 0o077 == 0  # other users can neither listen nor speak
        server.close()
        assert (root / "data" / "datasets" / "train.txt").is_file()

    def test_the_cause_of_a_failed_start_is_told(self, root):
        with pool_of(slot(root, "dead")) as pool, pytest.raises(WorkerError, match="no such world"):
            pool.lease()

    def test_one_that_never_answers_is_given_up(self, root):
        began = time.monotonic()
        mute = slot(root, "mute", starting=0.5)
        with pool_of(mute) as pool, pytest.raises(WorkerError, match=r"within 0\.5 s, got none: it hangs"):
            pool.lease()
        assert time.monotonic() - began < 5
        assert mute.server is None

    def test_an_interpreter_that_is_not_there(self, root):
        with pytest.raises(BackendError, match="APPWORLD_PYTHON"):
            Server("/nonexistent/python", root)
        assert not list((root / "tmp").iterdir())

    @needs_proc
    def test_nothing_is_left_after_twenty(self, root):
        def held():
            return sorted(os.listdir("/proc/self/fd")), children(os.getpid()), list((root / "tmp").iterdir())

        with pool_of(slot(root)) as pool:
            pool.lease().give_back(broken=True)
            before = len(held()[0]), held()[1:]
            for _ in range(20):
                pool.opened("aaaaaaa_1")[0].give_back(broken=True)
            assert (len(held()[0]), held()[1:]) == before

    @needs_proc
    def test_agents_cannot_read_the_hosts_environment(self, root, monkeypatch):
        monkeypatch.setenv("SECRET_TOKEN", "canary")
        with pool_of(own := slot(root)) as pool, pool.lease():
            assert own.server is not None
            (inner,) = children(own.server.pid)
            for pid in (own.server.pid, inner):
                assert b"canary" not in Path(f"/proc/{pid}/environ").read_bytes()

    @needs_proc
    @pytest.mark.parametrize("how", ["SIGKILL", "exit"])
    def test_it_ends_with_its_host(self, root, how):
        script = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from agentgym_hindsight.envs.appworld.official.server import Server
from agentgym_hindsight.envs.appworld.official.client import WorldClient
server = Server(sys.executable, Path({str(root)!r}), command={STAND_IN!r})
WorldClient(socket_path=server.socket_path).ready(20.0)
print(server.pid, server.folder, flush=True)
{"sys.exit()" if how == "exit" else "os.kill(os.getpid(), signal.SIGKILL)"}
"""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=60
        )
        assert done.stdout, done.stderr
        pid, folder = done.stdout.split()
        assert gone(int(pid))
        assert not Path(folder).exists()
        listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True).stdout
        assert folder not in listed

    @needs_proc
    def test_the_server_goes_when_its_launcher_is_killed(self, root):
        with pool_of(own := slot(root)) as pool, pool.lease():
            assert own.server is not None
            (inner,) = children(own.server.pid)
            os.kill(own.server.pid, signal.SIGKILL)
            assert gone(inner)


class TestPool:
    def test_the_third_of_two_waits_for_its_turn(self, root):
        with pool_of(slot(root), slot(root)) as pool:
            first, second = pool.lease(), pool.lease()
            assert pool.leased == 2
            threading.Timer(0.3, first.give_back).start()
            began = time.monotonic()
            third = pool.lease()
            assert time.monotonic() - began > 0.2
            assert third.world is not second.world
            with pytest.raises(WorkerError, match="given back"):
                first.world  # noqa: B018

    def test_or_is_told_that_all_are_in_use(self, root):
        with pool_of(slot(root), slot(root), wait=0.2) as pool:
            kept = pool.lease(), pool.lease()
            with pytest.raises(WorkerError, match=r"all 2 are in use; try more servers"):
                pool.lease()
            kept[0].give_back()
            kept[0].give_back()  # twice is once
            pool.lease()
            with pytest.raises(WorkerError, match="all 2"):
                pool.lease()

    def test_warm_ones_first(self, root):
        cold, warm = slot(root), slot(root)
        with pool_of(cold, warm) as pool:
            both = pool.lease(), pool.lease()
            for lease in both:
                lease.give_back()
            cold.discard()
            pool.lease()
            assert warm.warm
            assert not cold.warm

    def test_a_dead_server_is_exchanged_between_episodes(self, root):
        with pool_of(own := slot(root)) as pool:
            pool.opened("aaaaaaa_1")[0].give_back()
            assert own.server is not None
            os.kill(own.server.pid, signal.SIGKILL)
            assert gone(own.server.pid)
            _, opening = pool.opened("aaaaaaa_1")
            assert opening.instruction == "Do aaaaaaa_1."

    @needs_proc
    def test_one_that_hangs_is_exchanged_once(self, root):
        with pool_of(own := slot(root, starting=2.0)) as pool:
            pool.opened("aaaaaaa_1")[0].give_back()
            assert own.server is not None
            (inner,) = children(own.server.pid)
            os.kill(inner, signal.SIGSTOP)
            _, opening = pool.opened("aaaaaaa_2")
            assert opening.instruction == "Do aaaaaaa_2."
            assert gone(inner)

    def test_an_unknown_task_is_no_reason_to_try_again(self, root):
        with pool_of(own := slot(root)) as pool:
            with pytest.raises(BackendError, match=r"task directory .* doesn't exist") as told:
                pool.opened("zzzzzzz_1")
            assert not isinstance(told.value, WorkerError)
            assert not own.warm

    def test_servers_are_recycled(self, root):
        with pool_of(own := slot(root, episodes=2)) as pool:
            pids = []
            for _ in range(5):
                with pool.lease():
                    assert own.server is not None
                    pids.append(own.server.pid)
        assert [pids[0] == pids[1], pids[1] == pids[2], pids[2] == pids[3], pids[3] == pids[4]] == [1, 0, 1, 0]

    def test_it_can_be_used_again_after_close(self, root):
        with pool_of(slot(root)) as pool:
            lease = pool.lease()
            pool.close()
            with pytest.raises(WorkerError, match="given back"):
                lease.world  # noqa: B018
            lease.give_back()
            assert pool.opened("aaaaaaa_1")[1].name == "Ada Quill"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
    def test_the_child_of_a_fork_starts_over(self, root):
        with pool_of(slot(root)) as pool:
            lease, _ = pool.opened("aaaaaaa_1")
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    with pytest.raises(WorkerError, match="another process"):
                        lease.world  # noqa: B018
                    lease.give_back()
                    own, opening = pool.opened("aaaaaaa_2")
                    assert opening.instruction == "Do aaaaaaa_2."
                    assert own.world.execute("write") == "Execution successful."
                    pool.close()
                    os.write(writing, b"well")
                finally:
                    os._exit(0)
            os.close(writing)
            with os.fdopen(reading, "rb") as pipe:
                assert pipe.read() == b"well"
            os.waitpid(child, 0)
            assert lease.world.execute("write") == "Execution successful."  # the parent's is untouched


class TestUrls:
    def test_a_server_of_somebody_else(self, root):
        with served(root) as (url, server), pool_of(UrlSlot(url)) as pool:
            lease, opening = pool.opened("bbbbbbb_1")
            assert opening.email == "ada@quill.example.com"
            assert lease.world.changes() is None  # its files are not ours to read
            lease.give_back()
            assert server.task is None

    def test_absent_ones_are_passed_over(self, root):
        with socket.socket() as taken, served(root) as (url, _):
            taken.bind(("127.0.0.1", 0))  # bound, not listening
            absent = f"http://127.0.0.1:{taken.getsockname()[1]}"
            with pool_of(UrlSlot(absent), UrlSlot(url)) as pool:
                assert pool.opened("aaaaaaa_1")[1].name == "Ada Quill"
            with pool_of(UrlSlot(absent)) as pool, pytest.raises(WorkerError, match=absent):
                pool.lease()

    def test_no_two_processes_share_a_world(self, root):
        with served(root) as (url, _):
            one, other = UrlSlot(url), UrlSlot(url)
            assert one.reserve()
            with pool_of(other, wait=0.3) as pool:
                with pytest.raises(WorkerError, match="all 1 are in use"):
                    pool.lease()
                one.release()
                pool.lease()

    def test_what_is_no_url(self):
        with pytest.raises(BackendError, match=r"try 'http://127\.0\.0\.1:9000'"):
            UrlSlot("localhost")
