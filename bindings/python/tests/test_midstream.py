import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import edgeweave
from edgeweave.midstream import Engine, Standardizer, push_frame

MACHINES = {"machines": {"machine": "text", "temp": "float", "alarms": "int", "on": "bool"}}


def test_a_sequence_is_found_and_the_counters_add_up():
    engine = Engine(MACHINES, "RULE hot: PATTERN SEQUENCE(a (temp > 80), b (temp > 90)) BY machine WITHIN 30 SECONDS")
    assert engine.push("machines", "1", 0, {"machine": "m-7", "temp": 85}) == []
    assert engine.push("machines", "2", 10_000, {"machine": "m-8", "temp": 95.0, "on": None}) == []
    (found,) = engine.push("machines", "3", 20_000, {"machine": "m-7", "temp": 95.0, "on": True, "alarms": 1})
    assert (found["rule"], found["first"], found["last"]) == ("hot", 0, 20_000)
    assert engine.push("machines", "3", 20_000, {"machine": "m-7"}) == []
    metrics = engine.metrics()
    assert metrics["dropped"] == {"duplicate": 1}
    assert metrics["events_in"] == metrics["events_out"] + sum(metrics["dropped"].values()) + metrics["held"] == 4
    assert engine.watermark == 20_000


WARM = "RULE warm: FROM rooms GROUP BY room HAVING AVG(temp) >= 20 WITHIN TUMBLING WINDOW 1 SECONDS EMIT EVERY"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from("ab"), st.integers(0, 40)), min_size=1, max_size=60))
def test_windows_over_columns_are_those_of_numpy_and_of_single_events(rows):
    rows = sorted(rows)
    at = np.array([row[0] * 100 for row in rows], dtype=np.int64)
    rooms = [row[1] for row in rows]
    temps = np.array([float(row[2]) for row in rows])
    sources = {"rooms": {"room": "text", "temp": "float"}}
    batch, single = Engine(sources, WARM), Engine(sources, WARM)
    told = batch.push_columns("rooms", "b", at, {"room": rooms, "temp": temps}) + batch.advance_to(10**6)
    one = [
        output
        for row in range(len(rows))
        for output in single.push("rooms", f"b/{row}", int(at[row]), {"room": rooms[row], "temp": temps[row]})
    ] + single.advance_to(10**6)
    assert told == one
    wanted = set()
    for second in set(at // 1000):
        for room in set(rooms):
            chosen = temps[(at // 1000 == second) & (np.array(rooms) == room)]
            if len(chosen) and chosen.mean() >= 20 - 1e-12:
                wanted.add((room, int(second) * 1000))
    assert {(output["key"], output["first"]) for output in told} == wanted


def test_a_frame_of_arrays_is_taken():
    engine = Engine({"rooms": {"room": "text", "temp": "float"}}, WARM)
    times = np.arange(20, dtype=np.int32) * 500
    assert len(push_frame(engine, "rooms", "f", {"at": times, "room": np.array(["a"] * 20), "temp": times * 0 + 30.0})) == 9
    engine = Engine({"rooms": {"room": "text", "temp": "float"}}, WARM)
    days = np.array(["2026-01-01T00:00:00"] * 2, dtype="datetime64[ns]")
    push_frame(engine, "rooms", "g", {"when": days, "room": ["a", "b"], "temp": np.float32([1, 2])}, at="when")
    assert engine.watermark == 1_767_225_600_000


def test_what_is_wrong_is_told():
    with pytest.raises(ValueError, match="line 1"):
        Engine(MACHINES, "RULE r: FROM machines HAVING")
    with pytest.raises(ValueError, match="wanted float, int, bool or text"):
        Engine({"machines": {"temp": "double"}})
    with pytest.raises(ValueError, match="line 1"):
        Engine(MACHINES, "STANDARDIZE temp OVER SOME DAYS")
    engine = Engine(MACHINES)
    with pytest.raises(ValueError, match="barns"):
        engine.push("barns", "1", 0, {})
    with pytest.raises(ValueError, match="pressure"):
        engine.push("machines", "1", 0, {"pressure": 1.0})
    with pytest.raises(ValueError, match="no field's value"):
        engine.push("machines", "1", 0, {"temp": [1]})
    times = np.zeros(2, dtype=np.int64)
    columns = {"machine": ["a", "b"], "temp": np.zeros(2), "alarms": times, "on": np.zeros(2, dtype=bool)}
    engine.push_columns("machines", "b", times, columns)
    for name, wrong in [("temp", np.zeros(2, dtype=np.float32)), ("machine", 3), ("machine", [1, 2]), ("extra", times)]:
        with pytest.raises(ValueError, match=name):
            engine.push_columns("machines", "b", times, {**columns, name: wrong})
    with pytest.raises(ValueError, match="no column for field on"):
        engine.push_columns("machines", "b", times, {key: value for key, value in columns.items() if key != "on"})
    with pytest.raises(edgeweave.Error):
        engine.push_columns("machines", "b", times, {**columns, "temp": np.zeros(3)})


def test_values_are_told_in_deviations():
    standardizer = Standardizer(2, 10.0)
    for second in range(10):
        assert np.isnan(standardizer.push(second * 1000, np.array([20.0 + second % 2, np.nan]))).all()
    told = standardizer.push(10_000, np.array([22.0, 1.0]))
    assert told[0] == pytest.approx(3.0) and np.isnan(told[1])
    with pytest.raises(ValueError, match="shape"):
        standardizer.push(0, np.zeros(3))
