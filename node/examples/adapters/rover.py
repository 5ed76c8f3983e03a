"""A rover as a program beside its node: it drives when it is told to, and tells how it fares.

    cosmosmesh ctl --config rover.ron attach python3 node/examples/adapters/rover.py 2

The number is the habitat's. What the lines mean is in docs/DAEMON.md, "Programs in any language".
"""

import json
import sys

HABITAT = int(sys.argv[1])


def say(**line):
    print(json.dumps(line), flush=True)


class Rover:
    def __init__(self):
        self.battery, self.way_m, self.sent = 1.0, 0, 0

    def send(self, purpose, record):
        self.sent += 1
        say(type="send", id=self.sent, to=HABITAT, purpose=purpose, lifetime_s=3600, record=record)

    def tell(self, time_ms):
        self.send("telemetry", {"time": time_ms, "quantity": "battery", "value": self.battery})
        self.send("telemetry", {"time": time_ms, "quantity": "way", "value": self.way_m, "unit": "m"})

    def obey(self, message):
        action = message.get("record", {}).get("action")
        if action == "drive" and self.battery >= 0.25:
            self.battery, self.way_m = self.battery - 0.25, self.way_m + 100
            self.tell(message["created_ms"])
        elif action == "charge":
            self.battery = 1.0
            self.tell(message["created_ms"])
        else:
            event = {"time": message["created_ms"], "kind": "cannot", "severity": 3, "detail": str(action)}
            self.send("event", event)


rover = Rover()
for line in sys.stdin:
    told = json.loads(line)
    if told["type"] == "hello":
        say(type="log", text=f"rover at node {told['node']}")
        rover.tell(0)
    elif told["type"] == "message":
        if told.get("purpose") == "command":
            rover.obey(told)
        # Only now: a rover that ends before has obeyed twice at worst, and never not at all.
        say(type="take", number=told["number"])
    elif told["type"] == "refused":
        say(type="log", text=f"refused: {told['problem']}")
    elif told["type"] == "stop":
        break
