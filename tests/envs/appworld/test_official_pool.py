"""Servers, slots and the world pool of the official backend, tested with a stand-in server that can misbehave."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentgym_hindsight.envs.appworld.official.client import WorldClient
from agentgym_hindsight.envs.appworld.official.server import Server
from agentgym_hindsight.envs.appworld.official.slots import ManagedSlot, UrlSlot
from agentgym_hindsight.envs.appworld.official.world_pool import WorldPool
from agentgym_hindsight.errors import BackendError, WorkerError

from . import stand_in_server
from .sandbox_helpers import is_running, wait_until
from .stand_in_server import REFUSED_SOCKET, at_url, make_data

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="servers need Unix sockets"),
    pytest.mark.filterwarnings(REFUSED_SOCKET),
]
STAND_IN = (stand_in_server.__file__, "{fd}")


@pytest.fixture
def root(tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return make_data(tmp_path)


def slot(root, *behaviour, **settings):
    return ManagedSlot(
        sys.executable, root, command=(*STAND_IN, *behaviour), **{"starting": 20.0, "seconds": 1, **settings}
    )


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


def has_ended(pid):
    """Wait for the end of a process. A zombie counts as ended where /proc shows it."""

    def ended():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return Path("/proc/self/stat").exists() and not is_running(pid)

    return wait_until(ended)


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

    def test_its_folder_is_removed_but_the_data_stays(self, root):
        server = Server(sys.executable, root, command=STAND_IN)
        assert (server.folder / "data" / "datasets" / "train.txt").is_file()
        assert server.folder.stat().st_mode & 0o077 == 0  # other users cannot connect
        server.close()
        assert (root / "data" / "datasets" / "train.txt").is_file()

    def test_the_cause_of_a_failed_start_is_in_the_error(self, root):
        with pool_of(slot(root, "dead")) as pool, pytest.raises(WorkerError, match="no such world"):
            pool.lease()

    def test_a_server_that_never_responds_is_ended(self, root):
        mute = slot(root, "mute", starting=0.3)  # the stand-in would respond after 60 s
        with pool_of(mute) as pool, pytest.raises(WorkerError, match=r"within 0\.3 s, got none; try a new server"):
            pool.lease()
        assert mute.server is None

    def test_an_interpreter_that_does_not_exist(self, root):
        with pytest.raises(BackendError, match="APPWORLD_PYTHON"):
            Server("/nonexistent/python", root)
        assert not list((root / "tmp").iterdir())

    @needs_proc
    def test_restarts_leave_no_descriptor_process_or_folder(self, root):
        def held():
            return sorted(os.listdir("/proc/self/fd")), children(os.getpid()), list((root / "tmp").iterdir())

        with pool_of(slot(root)) as pool:
            pool.lease().give_back(broken=True)
            before = len(held()[0]), held()[1:]
            for _ in range(4):  # the comparison is exact, so a leak per restart shows at once
                pool.opened("aaaaaaa_1")[0].give_back(broken=True)
            assert (len(held()[0]), held()[1:]) == before

    @needs_proc
    def test_the_server_has_no_environment_variables_of_the_host(self, root, monkeypatch):
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
import os, signal, socket, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from agentgym_hindsight.envs.appworld.official.server import Server
server = Server(sys.executable, Path({str(root)!r}), command={STAND_IN!r})
client = socket.socket(socket.AF_UNIX)
client.connect(server.socket_path)
client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
assert client.recv(1)  # the server runs
print(server.pid, server.folder, flush=True)
{"sys.exit()" if how == "exit" else "os.kill(os.getpid(), signal.SIGKILL)"}
"""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=60
        )
        assert done.stdout, done.stderr
        pid, folder = done.stdout.split()
        assert has_ended(int(pid))
        assert not Path(folder).exists()
        listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True).stdout
        assert folder not in listed

    @needs_proc
    def test_the_server_ends_when_its_launcher_is_killed(self, root):
        with pool_of(own := slot(root)) as pool, pool.lease():
            assert own.server is not None
            (inner,) = children(own.server.pid)
            os.kill(own.server.pid, signal.SIGKILL)
            assert has_ended(inner)


class TestPool:
    def test_a_lease_waits_until_a_world_is_given_back(self, root):
        with pool_of(slot(root), slot(root), wait=60.0) as pool:
            first, second = pool.lease(), pool.lease()
            assert pool.leased == 2
            given_back = threading.Event()

            def give_back():
                given_back.set()
                first.give_back()

            threading.Timer(0.1, give_back).start()
            third = pool.lease()
            assert given_back.is_set()
            assert third.world is not second.world
            with pytest.raises(WorkerError, match="given back"):
                first.world  # noqa: B018

    def test_a_lease_fails_when_all_worlds_stay_in_use(self, root):
        with pool_of(slot(root), slot(root), wait=0.1) as pool:
            kept = pool.lease(), pool.lease()
            with pytest.raises(WorkerError, match=r"all 2 are in use; try more servers"):
                pool.lease()
            kept[0].give_back()
            kept[0].give_back()  # the second call has no effect
            pool.lease()
            with pytest.raises(WorkerError, match="all 2"):
                pool.lease()

    def test_running_servers_are_used_first(self, root):
        cold, warm = slot(root), slot(root)
        with pool_of(cold, warm) as pool:
            both = pool.lease(), pool.lease()
            for lease in both:
                lease.give_back()
            cold.discard()
            pool.lease()
            assert warm.warm
            assert not cold.warm

    def test_a_dead_server_is_replaced_between_episodes(self, root):
        with pool_of(own := slot(root)) as pool:
            pool.opened("aaaaaaa_1")[0].give_back()
            server = own.server
            assert server is not None
            os.kill(server.pid, signal.SIGKILL)
            # /proc shows a zombie before all threads of the launcher have ended, which is too early.
            assert wait_until(lambda: not server.alive)
            _, opening = pool.opened("aaaaaaa_1")
            assert opening.instruction == "Do aaaaaaa_1."

    @needs_proc
    def test_a_hanging_server_is_replaced_once(self, root):
        with pool_of(own := slot(root)) as pool:
            lease, _ = pool.opened("aaaaaaa_1")
            lease.world.starting = 0.3  # for the server that will hang; a new one has 20 s
            lease.give_back()
            assert own.server is not None
            (inner,) = children(own.server.pid)
            os.kill(inner, signal.SIGSTOP)
            _, opening = pool.opened("aaaaaaa_2")
            assert opening.instruction == "Do aaaaaaa_2."
            assert has_ended(inner)

    def test_an_unknown_task_is_not_tried_again(self, root):
        with pool_of(own := slot(root)) as pool:
            with pytest.raises(BackendError, match=r"task directory .* doesn't exist") as caught:
                pool.opened("zzzzzzz_1")
            assert not isinstance(caught.value, WorkerError)
            assert not own.warm

    def test_a_server_restarts_after_its_episodes(self, root):
        with pool_of(own := slot(root, episodes=2)) as pool:
            pids = []
            for _ in range(5):
                with pool.lease():
                    assert own.server is not None
                    pids.append(own.server.pid)
        assert [pids[0] == pids[1], pids[1] == pids[2], pids[2] == pids[3], pids[3] == pids[4]] == [1, 0, 1, 0]

    def test_a_closed_pool_can_be_used_again(self, root):
        with pool_of(slot(root)) as pool:
            lease = pool.lease()
            pool.close()
            with pytest.raises(WorkerError, match="given back"):
                lease.world  # noqa: B018
            lease.give_back()
            assert pool.opened("aaaaaaa_1")[1].name == "Ada Quill"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
    def test_the_child_of_a_fork_starts_its_own_server(self, root):
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
            assert lease.world.execute("write") == "Execution successful."  # the parent's world still works


class TestUrls:
    def test_a_server_started_elsewhere(self, root):
        with served(root) as (url, server), pool_of(UrlSlot(url)) as pool:
            lease, opening = pool.opened("bbbbbbb_1")
            assert opening.email == "ada@quill.example.com"
            assert lease.world.changes() is None  # its files cannot be read from here
            lease.give_back()
            assert server.task is None

    def test_unreachable_servers_are_skipped(self, root):
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

    def test_an_invalid_url(self):
        with pytest.raises(BackendError, match=r"try 'http://127\.0\.0\.1:9000'"):
            UrlSlot("localhost")
