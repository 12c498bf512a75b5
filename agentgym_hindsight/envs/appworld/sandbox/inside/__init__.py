"""What runs in the worker process. Nothing here imports anything but the standard library and its neighbours: there the
packages above this one are empty shells, see ``_BOOT`` in ``nursery.py``."""
