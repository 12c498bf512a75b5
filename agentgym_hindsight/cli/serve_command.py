"""``agh serve``: the shop as a web site, or any environment for clients of OpenEnv."""

from __future__ import annotations

import argparse

from agentgym_hindsight.cli.listening import listener_at, serve_until_stopped
from agentgym_hindsight.cli.parsing import name_of as name_of_kind
from agentgym_hindsight.cli.parsing import text
from agentgym_hindsight.cli.shared import env_arguments, make_env
from agentgym_hindsight.envs.webshop.site.app import create_app
from agentgym_hindsight.envs.webshop.site.hosts import host_names, name_of
from agentgym_hindsight.envs.webshop.site.server import SiteServer
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers import REWARD_PROTOCOLS

#: The settings that ``--set`` accepts: data, goals and rules of the shop.
_SETTABLE = ("data", "goals", "nouns", "products", "rules", "shop_seed", "tag")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("world", choices=["webshop"], nargs="?", help="the shop as a web site, for people")
    parser.add_argument(
        "--openenv",
        type=text,
        metavar="ENV",
        help="serve this environment for clients of OpenEnv instead (needs openenv>=0.10,<0.11)",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s, only this machine)"
    )
    parser.add_argument(
        "--protocol",
        type=text,
        default="plain",
        help="of --openenv: the prompt and the parser of a turn, such as verl-agent-2025, or module:NAME "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--reward",
        type=name_of_kind("reward protocol", REWARD_PROTOCOLS),
        choices=list(REWARD_PROTOCOLS),
        default="10-won",
        help="of --openenv: the reward (default: %(default)s)",
    )
    parser.add_argument("--port", type=int, default=3000, help="port; 0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--split", default="train", help="split of the visitors' goals or of the tasks (default: %(default)s)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"an argument of the env; of the shop: {', '.join(_SETTABLE)}; repeatable",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed that maps the name of a session to its goal, or seed of the order of tasks (default: %(default)s)",
    )
    parser.add_argument("--sessions", type=int, help="largest number of sessions (default: 5000, of --openenv 64)")
    parser.add_argument("--hide-goal", action="store_true", help="show only the score on the last page")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that browsers may use for the site, such as that of a proxy in front of it; repeatable "
        "(default: only names of this machine, or any name if the network can reach the site)",
    )
    parser.add_argument(
        "--threads", type=int, default=100, help="connections at once, with a thread each (default: %(default)s)"
    )
    parser.add_argument("--log", action="store_true", help="print a line for each request")


def run(options: argparse.Namespace) -> int:
    if (options.world is None) == (options.openenv is None):
        given = "neither" if options.world is None else "both"
        raise UsageError(f"Expected webshop or --openenv ENV, got {given}; try agh serve --openenv alfworld.")
    if options.openenv is not None:
        return _serve_openenv(options)
    return _serve_shop(options)


def _serve_openenv(options: argparse.Namespace) -> int:
    from agentgym_hindsight.exports.openenv_server import create_openenv_app, run_server

    _check_address(options)
    settings = env_arguments(options)
    split = settings.pop("split")
    options.env = options.openenv
    make_env(options).close()  # an unknown name, argument or split is reported before anything is opened
    stage = Stage(options.env, settings, protocol=options.protocol, reward=options.reward)
    size = stage.size(split)
    with listener_at(options.host, options.port, default=3000) as listener:
        host = listener.getsockname()[0]
        sessions = 64 if options.sessions is None else options.sessions
        app = create_openenv_app(
            stage, split, seed=options.seed, sessions=sessions, hosts=host_names(host, options.allow_host)
        )
        about = f"{stage.env} for OpenEnv: {size} tasks of {split}, at most {sessions} sessions"
        serve_until_stopped(listener, about, "server", lambda: run_server(app, listener, log=options.log))
    return 0


def _check_address(options: argparse.Namespace) -> None:
    if not 0 <= options.port < 65536:
        raise UsageError(f"Expected a port from 0 to 65535, got {options.port}; try --port 3000.")
    if options.threads < 1:
        raise UsageError(f"Expected at least one thread, got {options.threads}; try --threads 100.")
    if options.sessions is not None and options.sessions < 1 and options.openenv is not None:
        raise UsageError(f"Expected at least one session, got {options.sessions}; try --sessions 64.")
    for name in options.allow_host:
        if name_of(name) != name.lower():
            raise UsageError(f"Expected the name of a host without a port, got {name!r}; try --allow-host localhost.")


def _serve_shop(options: argparse.Namespace) -> int:
    settings = env_arguments(options)
    for name in set(settings) - {"split", *_SETTABLE}:
        raise UnknownNameError("argument of a shop (--set)", name, _SETTABLE)
    _check_address(options)
    # Loading the shop may take long, so the port is opened first: a port in use is then reported at once.
    with listener_at(options.host, options.port, default=3000) as listener:
        host = listener.getsockname()[0]
        app = create_app(
            seed=options.seed,
            reveal=not options.hide_goal,
            max_sessions=5000 if options.sessions is None else options.sessions,
            hosts=host_names(host, options.allow_host),
            **settings,
        )
        site = SiteServer(app, listener, connections=options.threads, log=options.log)
        serve_until_stopped(
            listener,
            app.config["ABOUT"],
            "shop",
            site.serve_forever,
            path="/",
            limit=f"At most {options.threads} connections at once. ",
        )
    return 0
