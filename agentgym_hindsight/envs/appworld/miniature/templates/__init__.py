"""All task templates, a theme a module: importing this registers them."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.templates import calendar as calendar
from agentgym_hindsight.envs.appworld.miniature.templates import days as days
from agentgym_hindsight.envs.appworld.miniature.templates import errands as errands
from agentgym_hindsight.envs.appworld.miniature.templates import files as files
from agentgym_hindsight.envs.appworld.miniature.templates import mail as mail
from agentgym_hindsight.envs.appworld.miniature.templates import music as music
from agentgym_hindsight.envs.appworld.miniature.templates import notes as notes
from agentgym_hindsight.envs.appworld.miniature.templates import payments as payments
from agentgym_hindsight.envs.appworld.miniature.templates import phone as phone
from agentgym_hindsight.envs.appworld.miniature.templates import shop as shop
