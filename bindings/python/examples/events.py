"""Rules over a recording: columns in, what was found out."""

import numpy as np

from edgeweave.midstream import Engine, push_frame

random = np.random.default_rng(1)
seconds = np.arange(3600)
temp = 60 + random.standard_normal(3600) + np.where((seconds > 1800) & (seconds < 1900), 35, 0)
recording = {"at": seconds * 1000, "machine": ["m-7"] * 3600, "temp": temp}

engine = Engine(
    {"machines": {"machine": "text", "temp": "float"}},
    """
    RULE warm: FROM machines GROUP BY machine HAVING AVG(temp) > 90 WITHIN TUMBLING WINDOW 30 SECONDS;
    RULE jump: PATTERN SEQUENCE(normal (temp < 70), hot (temp > 85)) BY machine WITHIN 2 SECONDS
    """,
)
for output in push_frame(engine, "machines", "recording", recording):
    print(f"{output['rule']} of {output['key']} from second {output['first'] // 1000} on")
metrics = engine.metrics()
assert metrics["events_in"] == metrics["events_out"] + sum(metrics["dropped"].values()) + metrics["held"]
