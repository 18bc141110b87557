import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import edgeweave
from edgeweave.midstream import Agent, Engine, Standardizer, decode_batch, push_frame

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


def test_rules_change_while_events_come():
    hot = "RULE hot: FROM machines GROUP BY machine HAVING AVG(temp) > {} WITHIN TUMBLING WINDOW 10 SECONDS"
    engine = Engine(MACHINES, hot.format(80), key="machine")
    engine.push("machines", "1", 0, {"machine": "m-7", "temp": 70.0})
    assert engine.replace_rule(hot.format(60))  # goes on from what it held
    (found,) = engine.advance_to(10_000)
    assert (found["rule"], found["key"]) == ("hot", "m-7")
    with pytest.raises(ValueError, match="hot"):
        engine.add_rule(hot.format(70))
    engine.add_rule("RULE alarm: PATTERN SEQUENCE(a (alarms > 0)) WITHIN 1 SECONDS")
    assert [counters["rule"] for counters in engine.rule_metrics()] == ["hot", "alarm"]
    engine.remove_rule("hot")
    for wrong in [lambda: engine.remove_rule("hot"), lambda: engine.replace_rule(hot.format(1)), lambda: engine.add_rule("")]:
        with pytest.raises(ValueError):
            wrong()


OVER = "ENRICH machines FROM limits ON machine; RULE over: SELECT machine FROM machines WHERE temp > limits.most"


def with_limits(**more):
    limits = {"fields": {"machine": "text", "most": "float"}, "key": "machine"}
    return Engine({"machines": {"machine": "text", "temp": "float"}}, OVER, tables={"limits": limits}, late_kept=4, **more)


def test_tables_enrich_and_a_snapshot_goes_on():
    engine = with_limits()
    engine.put("limits", 0, {"machine": "m-7", "most": 90.0})
    assert engine.table_len("limits") == 1
    assert engine.push("machines", "1", 1000, {"machine": "m-7", "temp": 85.0}) == []
    assert len(engine.push("machines", "2", 2000, {"machine": "m-7", "temp": 95.0})) == 1
    engine.push("machines", "3", 500, {"machine": "m-7", "temp": 95.0})
    snapshot = engine.snapshot()
    assert engine.take_late() == [("machines", "3", 500)] and engine.take_late() == []
    again = with_limits(snapshot=snapshot)
    assert again.push("machines", "2", 2000, {"machine": "m-7", "temp": 95.0}) == []
    assert again.metrics()["dropped"] == {"late": 1, "duplicate": 1}
    with pytest.raises(edgeweave.CorruptError):
        with_limits(snapshot=snapshot[:-1])
    with pytest.raises(ValueError, match="nothing"):
        engine.put("nothing", 0, {})
    with pytest.raises(ValueError, match="pressure"):
        with_limits(watermarks=("pressure", 1.0))


def test_the_watermark_waits_for_the_device_that_is_behind():
    engine = Engine(MACHINES, watermarks=("machine", 60.0), disorder=1.0)
    engine.push("machines", "1", 5_000, {"machine": "b"})
    engine.push("machines", "2", 10_000, {"machine": "a"})
    engine.push("machines", "3", 20_000, {"machine": "a"})
    assert engine.watermark == 4_000


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1000, 1000, width=32), max_size=400), st.integers(1, 12))
def test_an_agent_hands_over_the_means_of_what_it_was_given(values, one_in):
    agent = Agent(7, average_over=1, one_in=one_in, batch_ms=300)
    at = np.arange(len(values), dtype=np.int64) * 10
    values = np.array(values, dtype=np.float32)
    batches, alarms = agent.push(at, values)
    batches += [agent.flush()] if agent.stats()["held"] >= one_in or len(values) >= one_in else []
    read = [decode_batch(batch) for batch in batches if batch]
    assert [batch["number"] for batch in read] == list(range(len(read))) and alarms == []
    got = np.concatenate([batch["values"] for batch in read]) if read else np.zeros(0)
    whole = len(values) // one_in * one_in
    means = values[:whole].reshape(-1, one_in).astype(np.float64).mean(axis=1)
    np.testing.assert_allclose(got, means, rtol=1e-5, atol=1e-3)
    stats = agent.stats()
    assert stats["samples_in"] == stats["samples_out"] + stats["averaged"] + stats["invalid"] + stats["held"] == len(values)
    times, newest = agent.ring()
    np.testing.assert_array_equal(newest, values)
    np.testing.assert_array_equal(times, at)


def test_an_agent_warns_once_a_crossing_and_refuses_what_makes_no_sense():
    agent = Agent(alarm_above=50.0, alarm_below=40.0, average_over=1)
    values = np.tile(np.arange(100, dtype=np.float32), 2)
    _, alarms = agent.push(np.arange(200, dtype=np.int64), values)
    assert [(edge, at) for edge, at, _ in alarms] == [("raised", 51), ("ended", 100), ("raised", 151)]
    with pytest.raises(ValueError, match="1 times for 2 values"):
        agent.push(np.zeros(1, dtype=np.int64), np.zeros(2, dtype=np.float32))
    with pytest.raises(ValueError, match="one_in"):
        Agent(one_in=0)
    with pytest.raises(edgeweave.CorruptError):
        decode_batch(b"rubbish")
