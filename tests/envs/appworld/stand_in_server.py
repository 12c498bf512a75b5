"""A server with AppWorld's protocol and a minimal world, which can also misbehave.

Its requests and replies have the format of ``appworld.serve.environment`` 0.1.3. ``test_official_genuine.py`` tests the
client with that server if the package is installed. The stand-in adds failures that the original cannot produce on
request: it can die, hang and send invalid replies.

A program is a text that contains some of the words ``write``, ``complete``, ``fail``, ``die``, ``hang``, ``garbage``
and ``nothing``.
"""

import json
import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

PERSON = {"first_name": "Ada", "last_name": "Quill", "email": "ada@quill.example.com", "phone_number": "5550000001"}
TASKS = {"aaaaaaa_1": "train", "aaaaaaa_2": "train", "bbbbbbb_1": "dev", "ccccccc_1": "test_normal"}
FAILED = 'Execution failed. Traceback:\n  File "<python-input>", line 1, in <module>\n'
REFUSED = FAILED + 'Exception: Response status code is 401:\n{"message":"No token."}'

#: A warning filter. A server that dies early refuses the connection, and httpcore leaves the socket of a refused
#: connection to the garbage collector.
REFUSED_SOCKET = r"ignore:unclosed <socket\.socket fd=\d+, family=(1|AddressFamily\.AF_UNIX):ResourceWarning"


def make_data(root):
    """Create a data folder in AppWorld's format, with made-up tasks."""
    for split in ("train", "dev", "test_normal", "test_challenge"):
        (root / "data" / "datasets").mkdir(parents=True, exist_ok=True)
        names = [name for name, where in TASKS.items() if where == split]
        (root / "data" / "datasets" / f"{split}.txt").write_text("\n".join(reversed(names)) + "\n")
    for name in TASKS:
        folder = root / "data" / "tasks" / name
        (folder / "ground_truth").mkdir(parents=True)
        specs = {"instruction": f"Do {name}.", "supervisor": PERSON, "datetime": "2023-05-18T12:00:00"}
        (folder / "specs.json").write_text(json.dumps({**specs, "db_version": "0.1.0", "canary_string": ""}))
        (folder / "ground_truth" / "metadata.json").write_text('{"difficulty": 2}')
        (folder / "ground_truth" / "compiled_solution.py").write_text(
            "# Canary String: ours\ndef solution(apis, requester):\n    'write complete'\n"
        )
    return root


class Handler(BaseHTTPRequestHandler):
    """Requests to one world, whose state is stored on the server object."""

    def do_GET(self):
        if self.path == "/":
            self.answer({"message": "Welcome."})
        elif self.path == "/openapi.json":
            self.answer({"info": {"version": "0.1.3.stand-in"}})
        else:
            self.answer({"detail": "Not Found"}, 404)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        world = self.server
        verb = self.path.strip("/")
        if verb == "initialize":
            specs = world.root / "data" / "tasks" / body["task_id"] / "specs.json"
            if not specs.exists():
                print(f"Exception: The task directory ({specs.parent}) doesn't exist.", file=sys.stderr, flush=True)
                return self.answer(None, 500)
            world.task, world.lines, world.completed, world.closed = body["task_id"], [], False, False
            world.logs = world.root / "experiments" / "outputs" / body["experiment_name"] / "tasks" / world.task / "dbs"
            world.initialized = getattr(world, "initialized", 0) + 1
            self.log()
            start = json.loads(specs.read_text())
            return self.answer({"output": {**start, "task_id": world.task}})
        if getattr(world, "task", None) != body["task_id"]:
            print("ValueError: not a valid HTTPStatus", file=sys.stderr, flush=True)
            return self.answer(None, 500)
        if verb == "execute":
            return self.execute(body["code"])
        if verb == "task_completed":
            return self.answer({"output": world.completed})
        if verb == "evaluate":
            return self.evaluate(body)
        if verb == "close":
            world.task = None
            return self.answer({"output": None})
        return self.answer({"detail": "Not Found"}, 404)

    def execute(self, code):
        world = self.server
        if "die" in code:
            os._exit(3)
        if "hang" in code:
            time.sleep(60)
        if "garbage" in code:
            return self.raw(b"<html>\xff</html>")
        if "nothing" in code:
            return self.answer({"outputs": []})
        if "fail" in code:
            return self.answer({"output": REFUSED})
        if "write" in code:
            world.lines.append(json.dumps(["INSERT INTO notes (title) VALUES (?)", ["ink"], False]))
            world.lines.append(json.dumps(["INSERT INTO notes_fts (id) VALUES (?)", [1], False]))
        if "complete" in code:
            world.completed = True
        self.log()
        return self.answer({"output": "Execution successful." if code.strip() else "No code available to execute."})

    def evaluate(self, body):
        if body.get("suppress_errors") is not True:  # the original raises at the first failed test
            return self.answer(None, 500)
        wrote = bool(self.server.lines)
        row = {"requirement": "A note was written.", "label": "no_op_fail"}
        failures = [] if wrote else [{**row, "trace": "expected SECRET"}]
        passes = [{"requirement": "Nothing else changed.", "label": "no_op_pass"}, *([row] if wrote else [])]
        results = {"success": wrote, "difficulty": 2, "num_tests": 2, "passes": passes, "failures": failures}
        self.answer({"output": results})
        return None

    def log(self):
        self.server.logs.mkdir(parents=True, exist_ok=True)
        (self.server.logs / "simple_note.jsonl").write_text("".join(f"{line}\n" for line in self.server.lines))
        (self.server.logs / "phone.jsonl").write_text("")

    def answer(self, value, status=200):
        self.raw(b"Internal Server Error" if value is None else json.dumps(value).encode(), status)

    def raw(self, data, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class OnSocket(HTTPServer):
    """A server on an inherited listening socket."""

    def __init__(self, fd):
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=fd)
        self.root = Path.cwd()

    def get_request(self):
        connection, _ = self.socket.accept()
        return connection, ("socket", 0)


def at_url(root):
    """A server in this process, on a free TCP port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.root = root
    return server


def main(fd, behaviour="ready"):
    if behaviour == "dead":
        print("ImportError: no such world", file=sys.stderr, flush=True)
        sys.exit(1)
    if behaviour == "mute":
        time.sleep(60)
    OnSocket(fd).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
