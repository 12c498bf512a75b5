"""``agh view``: a local page over rollouts, evaluations and training runs, also while they are written."""

from __future__ import annotations

import argparse
import threading
import webbrowser
from pathlib import Path

from agentgym_hindsight.baselines.report.viewer_links import VIEWER_PORT
from agentgym_hindsight.cli.listening import listener_at, serve_until_stopped, url_of
from agentgym_hindsight.cli.output_files import check_file
from agentgym_hindsight.cli.parsing import path, source, text, whole
from agentgym_hindsight.cli.terminal import output
from agentgym_hindsight.envs.webshop.site.hosts import host_names, name_of
from agentgym_hindsight.envs.webshop.site.server import SiteServer
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.viewer.app import create_app
from agentgym_hindsight.viewer.export import export_page, is_export
from agentgym_hindsight.viewer.sources import Sources

_SLEEP = 1.0  # seconds between two looks at the files


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths",
        nargs="+",
        type=source,
        metavar="PATH",
        help="files of `agh rollout`, folders of `agh eval` and `agh train`, or folders that contain them",
    )
    parser.add_argument(
        "--host", type=text, default="127.0.0.1", help="address to listen on (default: %(default)s, only this machine)"
    )
    parser.add_argument(
        "--port",
        type=whole(0, 65535, example=VIEWER_PORT),
        default=VIEWER_PORT,
        help="port; 0 takes a free one (default: %(default)s)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--export", type=path, metavar="FILE", help="write one HTML file that shows all, and stop")
    parser.add_argument(
        "--most", type=whole(1, 10_000), default=200, help="rollouts in an exported file (default: %(default)s)"
    )
    parser.add_argument("--fresh", action="store_true", help="replace the file in --export also if it is no such page")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that browsers may use for the page, such as that of a proxy in front of it; repeatable",
    )


def run(options: argparse.Namespace) -> int:
    for name in options.allow_host:
        if name_of(name) != name.lower():
            raise UsageError(f"Expected the name of a host without a port, got {name!r}; try --allow-host localhost.")
    sources = Sources(Path(given) for given in options.paths)
    if options.export:
        return _export(sources, options)
    with listener_at(options.host, options.port, default=VIEWER_PORT) as listener:
        stopped = threading.Event()

        def serve() -> None:
            threading.Thread(target=_read_on, args=(sources, stopped), daemon=True).start()
            if options.open:
                webbrowser.open(f"{url_of(listener)}/")
            app = create_app(sources, host_names(listener.getsockname()[0], options.allow_host))
            SiteServer(app, listener, name="agh view").serve_forever()

        serve_until_stopped(listener, f"{len(sources.find())} runs and files", "page", serve, path="/")
        stopped.set()
    return 0


def _read_on(sources: Sources, stopped: threading.Event) -> None:
    """Index what is appended to the files, so that requests need not."""
    while not stopped.wait(0.0 if not sources.refresh(0.2) else _SLEEP):
        sources.find()


def _export(sources: Sources, options: argparse.Namespace) -> int:
    check_file(options.export, "exported page", is_export, option="--export", fresh=options.fresh)
    sources.refresh()
    written = export_page(sources, Path(options.export), most=options.most)
    if not written.rollouts:
        raise UsageError("Expected at least one rollout to export, got none; try a file of `agh rollout`.")
    left = f"; {written.left_out} more are left out (--most)" if written.left_out else ""
    output().print(
        f"Written to {options.export}: {written.rollouts} rollouts, {written.size / 2**20:.1f} MiB{left}",
        soft_wrap=True,
        markup=False,
    )
    return 0
