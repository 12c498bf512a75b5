"""``WebShop-Hindsight-v0``: shopping by instruction, in text."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from agentgym_hindsight.envs.base import HindsightEnv, Turn
from agentgym_hindsight.envs.webshop.backend import TEXTS, NativeBackend
from agentgym_hindsight.envs.webshop.library import open_library
from agentgym_hindsight.envs.webshop.nouns import DEFAULT_NOUNS
from agentgym_hindsight.envs.webshop.shop_facts import WebshopExtra
from agentgym_hindsight.envs.webshop.shop_types import SPLITS
from agentgym_hindsight.hindsight.sources import Hindsight

__all__ = ["WebShopEnv"]


class WebShopEnv(HindsightEnv):
    """Shopping by instruction: find the described product, choose its options, buy it.

    ```python
    import gymnasium as gym
    import agentgym_hindsight

    env = gym.make("WebShop-Hindsight-v0", data="embedded", split="test", expert=True)
    observation, info = env.reset(seed=0)
    terminated = truncated = False
    while not (terminated or truncated):
        observation, reward, terminated, truncated, info = env.step(info["expert_action"])
    assert reward == 1.0 and info["won"]
    ```

    ## Arguments
    * ``split`` (``train``): ``train``, ``eval`` or ``test``.
    * ``data`` (``auto``): ``embedded``, ``official`` (the files in ``$WEBSHOP_DATA``), a folder of official files, or
      ``auto``: official if there are such files, else embedded.
    * ``rules`` (``strict``): ``strict`` or ``official``, see below.
    * ``goals`` (``auto``): ``synthetic``, ``human``, ``auto`` or a path, see below.
    * ``observation_mode`` (``text``): ``text`` (strings joined by ``[SEP]``), ``text_rich`` (one string per line,
      buttons marked), ``quoted`` (SERL's release: the parts of ``text`` after the instruction, in quotes), ``html`` or
      ``url``.
    * ``texts`` (``default``): ``verl-agent`` has the pages of the released code of verl-agent, GiGPO and SERL, as
      observation, feedback, history and anchor: the parts of ``text`` after the instruction, each in quotes, without
      marks of chosen options. The start page lists ``click[search]``, which does nothing.
    * ``num_prev_obs``, ``num_prev_actions`` (0): number of earlier observations and actions before each page, oldest
      first, joined by ``[SEP]``.
    * ``difficulty`` (``standard``): ``standard`` is as hard as the official products. ``bare`` is an easier shop for
      small policies, with titles of one line and few options (backend ``native/embedded-bare/…``); embedded data only.
    * ``products`` (1000): size of the embedded shop. ``tag``: one of several catalogues in a folder.
    * ``shop_seed`` (0): seed of the embedded products, of prices and of price caps.
    * ``nouns`` (``tokens-1``): ``tokens-1`` or ``spacy``, see the type test.
    * ``max_steps`` (15, the usual limit in RL work), ``expert`` (False), ``anchor`` (``state``, ``observation`` or
      ``similar``), ``render_mode`` (``ansi`` or ``human``): as in every env.

    ## Observation
    The page and the instruction, which names attributes, options such as color and size, and a maximal price. Pages
    are the start page with a search bar, results, a product, its sub pages (Description, Features, Reviews), and the
    last page after the purchase.

    ## Actions
    * ``click[name]``: ``info["admissible_actions"]`` lists the clicks of the page; on the start page it is empty.
    * ``search[words]``: legal on every page, also without a search bar, but never in the list. A prompt must mention
      it in addition to the list. ``info["extra"].example_actions`` has some searches for words of the instruction.

    Any other action changes nothing; ``info["extra"].reason`` is the reason.

    ## Rewards
    0 until ``click[buy now]``, then the score of the purchase, 0 to 1. ``info["won"]`` is true if it is 1.

    ## Termination and truncation
    Terminated by the purchase, truncated after ``max_steps`` turns.
    """

    splits: ClassVar[tuple[str, ...]] = SPLITS
    prompt_world = "webshop"
    backend: NativeBackend

    def __init__(
        self,
        split: str = "train",
        *,
        data: str | os.PathLike[str] = "auto",
        rules: str = "strict",
        observation_mode: str = "text",
        goals: str | os.PathLike[str] = "auto",
        difficulty: str = "standard",
        products: int = 1000,
        tag: str | None = None,
        shop_seed: int = 0,
        nouns: str = DEFAULT_NOUNS,
        num_prev_obs: int = 0,
        num_prev_actions: int = 0,
        texts: str = TEXTS[0],
        max_steps: int = 15,
        **shared: Any,
    ) -> None:
        library = open_library(
            data, rules=rules, goals=goals, products=products, seed=shop_seed, tag=tag, difficulty=difficulty
        )
        backend = NativeBackend(
            library,
            mode=observation_mode,
            nouns=nouns,
            num_prev_obs=num_prev_obs,
            num_prev_actions=num_prev_actions,
            texts=texts,
        )
        library.count(split)  # raises for a split without goals now, not at the first reset
        self.splits = library.splits  # type: ignore[misc]  # overrides the class attribute for this instance
        super().__init__(backend, split=split, max_steps=max_steps, **shared)
        self._world_settings = {
            "rules": rules,
            "goals": os.fspath(goals),
            "products": products,
            "tag": tag,
            "shop_seed": shop_seed,
            "nouns": nouns,
            "observation_mode": observation_mode,
            "num_prev_obs": num_prev_obs,
            "num_prev_actions": num_prev_actions,
            # Only if it is set: snapshots from before it existed have no such setting.
            **({"texts": backend.texts} if backend.texts != TEXTS[0] else {}),
        }

    def _info(self, turn: Turn, hindsight: Hindsight) -> dict[str, Any]:
        if self._over and not turn.terminated and isinstance(turn.extra, WebshopExtra):
            turn = turn._replace(extra=turn.extra.ended())  # truncated: from now on the facts may use the hidden goal
        return super()._info(turn, hindsight)
