"""``python -m trunkline.roles ROLE``: see :mod:`trunkline.roles.process`."""

import gc

if __name__ == "__main__":
    # Until all is loaded: what modules make stays, and to examine it again and again takes a sixth of the start.
    gc.disable()
    from trunkline.roles.process import main

    main()
