"""A habitat as a program beside its node: it has the rover drive as far as a goal, and charge when its battery is low.

    cosmosmesh ctl --config habitat.ron attach python3 node/examples/adapters/habitat.py 1 500

The numbers are the rover's and the goal in metres. It ends, and says so on standard error, when the rover is there.
"""

import json
import sys

ROVER, GOAL_M = int(sys.argv[1]), float(sys.argv[2])
battery = None


def say(**line):
    print(json.dumps(line), flush=True)


def command(action):
    say(type="send", id=action, to=ROVER, purpose="command", lifetime_s=3600, record={"action": action})


for line in sys.stdin:
    told = json.loads(line)
    if told["type"] == "message":
        record = told.get("record", {})
        arrived = False
        if record.get("quantity") == "battery":
            battery = record["value"]
        elif record.get("quantity") == "way":
            arrived = record["value"] >= GOAL_M
            if not arrived:
                command("drive" if battery >= 0.25 else "charge")
        say(type="take", number=told["number"])
        if arrived:
            print(f"the rover is there, after {record['value']:.0f} m", file=sys.stderr)
            break
    elif told["type"] == "stop":
        break
