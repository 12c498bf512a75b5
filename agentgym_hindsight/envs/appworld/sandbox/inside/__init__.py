"""The code of the zygote and the worker process. It imports only the standard library and the other modules of this
package: in these processes the parent packages are empty modules, see ``_BOOT`` in ``zygote_client.py``."""
