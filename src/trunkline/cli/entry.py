"""Entry point of the command ``trunkline``."""

import gc


def main() -> None:
    """Run the command line without garbage collection until the command's modules are loaded.

    What they make stays, and to examine it again and again takes a sixth of the time of a short command.
    """
    gc.disable()
    from trunkline.cli.main import main as run

    run()
