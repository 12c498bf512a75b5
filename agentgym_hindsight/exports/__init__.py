"""Rollouts in the formats of other programs, and environments for other trainers. One format or client a file.

* Formats: :mod:`formats` lists them; ``agh export`` and ``agh import`` use them.
* Clients: :mod:`session` is the common base of all of them; each of the other modules is for one client, which is
  imported only when the module is.

None of the clients is a dependency. docs/any-trainer.md says which versions were run.
"""

from __future__ import annotations

__all__: list[str] = []
