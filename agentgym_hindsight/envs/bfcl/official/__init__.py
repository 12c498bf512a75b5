"""The benchmark itself: the API classes, checkers and tasks of the package ``bfcl-eval``, called directly."""

from agentgym_hindsight.envs.bfcl.official.library import OfficialLibrary, official_library
from agentgym_hindsight.envs.bfcl.official.package import Package, find_package

__all__ = ["OfficialLibrary", "Package", "find_package", "official_library"]
