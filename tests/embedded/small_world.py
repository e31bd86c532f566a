"""A supervisor over small shell programs, as a process: `python -m tests.embedded.small_world FOLDER NAME=COMMAND…`."""

import sys
from pathlib import Path

from broker.embedded.child import Program, say
from broker.embedded.folder import CannotStart
from broker.embedded.supervisor import Ended, Supervisor


def main(folder: str, *words: str) -> int:
    """Each word is a stage with one program; a name that begins with `once-` runs to its end."""
    pairs = [word.split("=", 1) for word in words]
    stages = [[Program(name, ("sh", "-c", command), once=name.startswith("once-"))] for name, command in pairs]
    supervisor = Supervisor(stages, Path(folder))
    try:
        supervisor.start()
        say("Ready")
        supervisor.run()
    except CannotStart as error:
        say(f"Cannot start: {error}")
        return 1
    except Ended:
        say("Ended")
    finally:
        supervisor.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
