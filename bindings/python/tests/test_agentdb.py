import pytest
from hypothesis import given, settings, strategies as st

import edgeweave
from edgeweave.agentdb import AgentDb, List, Version

SCHEMAS = {"robot": {"battery": "lww", "counter": "max", "odometer": "pn_counter", "task": {"status": ["queued", "active", "done"]}}}


def open_db(path=None, replica=1):
    return AgentDb(path, replica=replica, schemas=SCHEMAS)


def test_state_and_events_commit_together(tmp_path):
    with open_db(tmp_path / "state.db") as db:
        with db.begin(1_000) as tx:
            tx.set("robot", "R042", "battery", 73)
            tx.max("robot", "R042", "counter", 7)
            tx.add("robot", "R042", "odometer", 5)
            tx.status("robot", "R042", "task", "active")
            tx.append_event("R042", "task_started", {"task": "weld"}, priority="safety_critical")
        assert db.get("R042")["state"] == {"battery": 73, "counter": 7, "odometer": 5, "task": "active"}
        with pytest.raises(RuntimeError):
            with db.begin(2_000) as tx:
                tx.set("robot", "R042", "battery", 1)
                raise RuntimeError("the block failed")
        assert db.get("R042")["state"]["battery"] == 73
        with pytest.raises(ValueError):
            with db.begin(2_000) as tx:
                tx.set("robot", "R042", "battery", 2)
                tx.set("robot", "R042", "no_such_field", 2)
        assert db.get("R042")["state"]["battery"] == 73
    with open_db(tmp_path / "state.db") as db:
        (event,) = db.events(waiting=True)
        assert (event["agent"], event["type"], event["payload"]) == ("R042", "task_started", {"task": "weld"})
        with db.begin(3_000) as tx:
            tx.mark(event["sequence"], "delivered")
        assert db.waiting() == 0


def test_queries_and_records():
    with open_db() as db:
        with db.begin(1) as tx:
            for number in range(10):
                tx.set("robot", f"R{number}", "battery", number * 10)
            tx.put_record("journal", "1", b"\x00\xff")
        assert [agent["id"] for agent in db.query("robot", "battery < 20")] == ["R0", "R1"]
        assert db.get_record("journal", "1") == b"\x00\xff"
        assert db.get("nobody") is None
        with pytest.raises(edgeweave.Error):
            db.query("robot", "battery <")


def test_a_transaction_ends_once():
    with open_db() as db:
        tx = db.begin(1)
        tx.append_event("R1", "seen", None)
        assert len(tx.commit()) == 1
        with pytest.raises(edgeweave.ClosedError):
            tx.commit()
        with pytest.raises(ValueError, match="status"):
            AgentDb(None, replica=1, schemas={"robot": {"task": {"order": []}}})


def test_two_copies_converge_in_any_order():
    first, second = open_db(), open_db(replica=2)
    for db, by in [(first, 5), (second, 7)]:
        with db.begin(1_000) as tx:
            tx.add("robot", "R1", "odometer", by)
    for source, target in [(first, second), (second, first), (first, second)]:
        with target.begin(2_000) as tx:
            tx.merge("R1", source.document("R1"))
    assert first.get("R1")["state"] == second.get("R1")["state"] == {"odometer": 12}
    assert first.document("nobody") is None
    with pytest.raises(edgeweave.CorruptError), first.begin(1) as tx:
        tx.merge("R1", b"rubbish")


def test_events_by_type_and_records_by_key():
    db = open_db()
    with db.begin(1) as tx:
        for name in ["lame", "calm", "lame"]:
            tx.append_event("R1", name, {})
        for key in "abc":
            tx.put_record("notes", key, key.encode())
    assert [event["type"] for event in db.events(event_type="lame")] == ["lame", "lame"]
    assert db.last_event() == db.events()[-1]["sequence"]
    assert db.scan_records("notes", "a") == [("b", b"b"), ("c", b"c")]
    with db.begin(2) as tx:
        tx.delete_records("notes", "a", "c")
    assert db.scan_records("notes") == [("c", b"c")]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50), st.text(max_size=4)), max_size=20), st.randoms())
def test_texts_converge_whatever_the_order_of_deltas(edits, random):
    copies = [List(1), List(2)]
    deltas = []
    for other, place, text in edits:
        here = copies[other]
        before = here.version()
        if text:
            here.insert(min(place, len(here)), text)
        elif len(here):
            here.delete(min(place, len(here) - 1), 1)
        deltas.append(here.delta_since(before))
    for copy in copies:
        for delta in random.sample(deltas * 2, len(deltas) * 2):
            copy.merge(delta)
        assert copy.waiting() == (0, 0)
    assert str(copies[0]) == str(copies[1])
    assert copies[0].version() == copies[1].version() and copies[0].version().covers(Version())
    again = List.decode(9, copies[0].encode())
    assert str(again) == str(copies[0]) and again.replica == 9
    with pytest.raises(edgeweave.CorruptError):
        again.merge(b"rubbish")
    with pytest.raises(ValueError, match="behind the end"):
        again.delete(len(again), 1)


def test_every_kind_of_field_merges_with_its_copy():
    schemas = {
        "cow": {
            "coldest": "min",
            "zone": "mv",
            "milked": "flag",
            "sold": {"flag": "remove"},
            "tags": "or_set",
            "visits": {"or_map": "pn_counter"},
            "notes": "list",
            "steps": "pn_counter",
        }
    }
    first, second = (AgentDb(None, replica=replica, schemas=schemas) for replica in (1, 2))
    for db, zone, tag in [(first, "barn", "lame"), (second, "pen", "calm")]:
        with db.begin(1_000) as tx:
            tx.min("cow", "bella", "coldest", 37.5)
            tx.set("cow", "bella", "zone", zone)
            tx.enable("cow", "bella", "milked")
            tx.insert("cow", "bella", "tags", tag)
            tx.add("cow", "bella", "visits/vet", 1)
            tx.add("cow", "bella", "steps", 5)
            tx.splice("cow", "bella", "notes", 0, 0, zone)
    for source, target in [(first, second), (second, first)]:
        with target.begin(2_000) as tx:
            tx.merge("bella", source.document("bella"))
    state = first.get("bella")["state"]
    assert state == second.get("bella")["state"]
    assert state["coldest"] == 37.5 and state["milked"] is True and state["steps"] == 10
    assert sorted(state["tags"]) == ["calm", "lame"] and state["visits"] == {"vet": 2}
    assert [conflict["path"] for conflict in first.conflicts("bella")] == ["zone"]
    with first.begin(3_000) as tx:
        tx.disable("cow", "bella", "milked")
        tx.remove("cow", "bella", "tags", "lame")
        tx.remove_key("cow", "bella", "visits/vet")
        tx.reset("cow", "bella", "steps")
        tx.set("cow", "bella", "zone", "barn")
    state = first.get("bella")["state"]
    assert state["tags"] == ["calm"] and not state.get("visits") and state["steps"] == 0 and not state["milked"]
    assert first.conflicts("bella") == [] and first.verify() == []
    ((id, change),) = first.changes()
    assert id == "bella" and first.changes(change) == []
    first.compact()
    for wrong in ["newest", {"status": [1]}, {"or_map": "newest"}, {"or_set": "first"}, {"or_map": "lww", "x": 1}]:
        with pytest.raises(ValueError, match="wanted is lww"):
            AgentDb(None, replica=1, schemas={"cow": {"zone": wrong}})
