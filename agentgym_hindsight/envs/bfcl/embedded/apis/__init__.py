"""The APIs of the embedded world."""

from __future__ import annotations

from collections.abc import Mapping

from agentgym_hindsight.envs.bfcl.embedded.apis.board import BOARD
from agentgym_hindsight.envs.bfcl.embedded.apis.diary import DIARY
from agentgym_hindsight.envs.bfcl.embedded.apis.drive import DRIVE
from agentgym_hindsight.envs.bfcl.embedded.apis.house import HOUSE
from agentgym_hindsight.envs.bfcl.embedded.apis.journeys import JOURNEYS
from agentgym_hindsight.envs.bfcl.embedded.apis.postbox import POSTBOX
from agentgym_hindsight.envs.bfcl.embedded.apis.stock import STOCK
from agentgym_hindsight.envs.bfcl.embedded.apis.sums import SUMS
from agentgym_hindsight.envs.bfcl.embedded.functions import Api, ApiFunction

__all__ = ["APIS", "FUNCTIONS"]

APIS: Mapping[str, Api] = {api.name: api for api in (BOARD, DIARY, DRIVE, HOUSE, JOURNEYS, POSTBOX, STOCK, SUMS)}
#: Every function by its name: no two APIs have functions of one name.
FUNCTIONS: Mapping[str, ApiFunction] = {
    name: function for api in APIS.values() for name, function in api.functions.items()
}
