"""The standard contracts against another implementation of CDDL (pycddl, the Rust crate `cddl` for Python).

    python3 -m venv target/cddl && target/cddl/bin/pip install pycddl cbor2
    target/cddl/bin/python protocol/tests/interop/contracts.py
"""

import pathlib
import re
import sys

import cbor2
import pycddl

TEXT = pathlib.Path(__file__).parents[2] / "src/contract/standard.cddl"

GOOD = {
    "telemetry": [{1: 1, 2: "t", 3: 1.5}, {1: 1, 2: "t", 3: 1.5, 4: 0.25, 5: "K", 77: [1, 2]}],
    "forecast": [{1: "t", 2: 5, 3: 60000, 4: [1.5, 2.5]}, {1: "t", 2: 5, 3: 60000, 4: [], 5: [0.0]}],
    "command": [{1: "go"}, {1: "go", 2: 1, 3: 2, 4: b"x"}],
    "event": [{1: 1, 2: "k", 3: 7}],
    "trade": [{1: 0, 2: 1, 3: 1, 4: 2, 5: 3.6e6, 6: -0.25}],
    "plan": [{1: 1, 2: 1, 5: [0.3] * 24}, {1: 1, 2: 1, 3: [1.1], 5: []}],
}
BAD = {
    "telemetry": [{1: -1, 2: "t", 3: 1.5}, {1: 1, 2: "t" * 33, 3: 1.5}, {1: 1, 2: "t"}, {1: 1, 2: "t", 3: "x"}],
    "forecast": [
        {1: "t", 2: 5, 3: 0, 4: [1.5]},
        {1: "t", 2: 5, 3: 60000, 4: [1.5] * 1025},
        {1: "t", 2: 5, 3: 60000, 4: [1.5], 5: [-0.5]},
    ],
    "command": [{2: 1}, {1: "go", 4: b"x" * 1025}],
    "event": [{1: 1, 2: "k", 3: 8}],
    "trade": [{1: 3, 2: 1, 3: 1, 4: 2, 5: 3.6, 6: -0.25}, {1: 0, 2: 1, 3: 1, 4: 2, 5: -3.6, 6: 0.1}],
    "plan": [{1: 1, 2: 1, 5: [0.01]}],
}

wrong = 0
for text in re.split(r"(?m)^(?=; )", TEXT.read_text())[1:]:
    name, schema = text.split()[1], pycddl.Schema(text)
    for good, records in ((True, GOOD[name]), (False, BAD[name])):
        for record in records:
            try:
                schema.validate_cbor(cbor2.dumps(record))
                accepted = True
            except pycddl.ValidationError:
                accepted = False
            if accepted != good:
                wrong += 1
                print(f"{name}: {record} is {'accepted' if accepted else 'refused'}")
    print(f"{name}: {len(GOOD[name])} accepted, {len(BAD[name])} refused")
sys.exit(wrong)
