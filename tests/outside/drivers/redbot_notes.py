"""What redbot says of an address, a note a line: the check that it belongs to, how bad, its name and its words."""

import sys
from configparser import ConfigParser

import thor
from redbot.resource import HttpResource

config = ConfigParser()
config.read_dict({"redbot": {"enable_local_access": "True"}})
resource = HttpResource(config["redbot"])
resource.set_request(sys.argv[1], headers=[tuple(line.split(": ", 1)) for line in sys.argv[2:]])


@thor.events.on(resource)
def check_done() -> None:
    for one in (resource, *resource.subreqs.values()):
        for note in one.response.notes:
            print(one.check_id, note.level.name, type(note).__name__, end=": ")
            print(" ".join(note.summary.split()))
    thor.stop()


resource.check()
thor.run()
