"""A barn's memory: have we seen this before, what is known of the animal, and what is done about it?"""

import numpy as np

from edgeweave.agentdb import AgentDb
from edgeweave.flowcore import Engine
from edgeweave.ruvector import Index

random = np.random.default_rng(1)

# What was seen, as vectors with payloads.
seen = Index(64, metric="cosine")
views = random.standard_normal((1000, 64), dtype=np.float32)
seen.upsert_batch(
    np.arange(1000, dtype=np.uint64), views, [{"zone": f"pen-{number % 4}"} for number in range(1000)]
)
again = views[17] + 0.05 * random.standard_normal(64, dtype=np.float32)
for id, score, payload in seen.hits(again, 3, filter="zone == 'pen-1'"):
    print(f"seen as {id} ({score:.2f}) in {payload['zone']}")

# What is known of the animals; two devices may write and merge later.
herd = AgentDb(
    None,
    replica=1,
    schemas={"animal": {"weight": "lww", "visits": "pn_counter", "health": {"status": ["well", "watched", "treated"]}}},
)
with herd.begin(now=1_700_000_000_000) as tx:
    tx.set("animal", "cow-7", "weight", 612.5)
    tx.add("animal", "cow-7", "visits", 1)
    tx.status("animal", "cow-7", "health", "watched")
    tx.append_event("cow-7", "seen_again", {"score": 0.98}, priority="normal")
print(herd.query("animal", "weight > 600 && health == 'watched'")[0]["state"])

# What is done, durably: each step is journaled, a crash goes on where it stopped.
flows = Engine()
flows.action("look", lambda params, info: {"lame": info["input"]["steps"] < params["least"]})
flows.action("call_vet", lambda params, info: print("calling the vet for", info["input"]["animal"]))
flows.deploy("""
workflow:
  name: lameness
  trigger: day_over
  steps:
    - {id: look, action: look, params: {least: 1000}}
    - {id: call, action: call_vet, condition: "look.lame"}
""")
run = flows.trigger("day_over", {"animal": "cow-7", "steps": 300})
print(flows.run_until_ended(run)["status"])
