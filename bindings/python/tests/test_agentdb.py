import pytest
from hypothesis import given, settings, strategies as st

import edgeweave
from edgeweave.agentdb import AgentDb, Endpoint, List, Version

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


def test_queries_are_ordered_limited_counted_and_explained():
    db = open_db()
    for number in range(5):
        with db.begin(1_000) as tx:
            tx.merge_patch("robot", f"R{number}", {"battery": number * 10, "odometer": number})
    assert [found["id"] for found in db.find("robot", "battery > 5", order_by="battery", descending=True, limit=2)] == ["R4", "R3"]
    assert len(db.find("robot")) == 5 and db.count("robot", "battery > 5") == 4
    assert "battery" in db.explain("robot", "battery > 5", order_by="battery")
    assert db.ids("R2") == ["R3", "R4"]
    assert db.get("R3")["state"]["odometer"] == 3 and db.durable() > 0 and db.replica[0] == 1
    with pytest.raises(ValueError):
        with db.begin(2_000) as tx:
            tx.merge_patch("robot", "R4", {"nothing": 1})


def test_a_watch_tells_of_what_it_was_asked_for():
    db = open_db()
    watch = db.watch({"documents": "robot", "matching": "battery < 20"})
    with db.begin(1_000) as tx:
        tx.set("robot", "R1", "battery", 50)
    assert watch.next() is None
    with db.begin(2_000) as tx:
        tx.set("robot", "R1", "battery", 10)
        tx.append_event("R1", "low", {})
    assert watch.next(1.0)["document"]["state"]["battery"] == 10
    assert watch.next(0.01) is None and watch.missed == 0
    with pytest.raises(ValueError, match="documents or events"):
        db.watch({"robots": "1"})


def test_old_events_are_rolled_up_into_the_series_that_they_were():
    db = open_db()
    for at in range(6):
        with db.begin(at * 1_000) as tx:
            tx.append_event("R1", "temperature", {"celsius": at}, priority="telemetry")
        with db.begin(at * 1_000) as tx:
            tx.mark(db.last_event(), "delivered")
    before = db.series("R1", "temperature", "celsius", 2.0)
    assert [(bucket["start"], bucket["mean"], bucket["count"]) for bucket in before] == [(0, 0.5, 2), (2_000, 2.5, 2), (4_000, 4.5, 2)]
    assert db.series("R1", "temperature", "celsius", 2.0, from_=2_000, before=4_000) == before[1:2]
    with db.begin(100_000) as tx:
        tx.retain("temperature", 1.0, roll_up=("celsius", 2.0))
    assert len(db.events(event_type="temperature")) == 3
    assert db.series("R1", "temperature", "celsius", 2.0) == before
    tally = db.tally()["telemetry"]
    assert tally["appended"] == tally["held"] + tally["sent"] + tally["dropped"]


def carry(sides, now):
    """Carries frames both ways until neither side has anything to say."""
    quiet = 0
    while quiet < 2:
        for session, other in (sides, sides[::-1]):
            frame = session.poll(now)
            quiet = quiet + 1 if frame is None else 0
            if frame is not None:
                other.receive(frame, now)


def test_two_stores_sync_by_frames_that_the_caller_carries():
    robot, farm = open_db(), open_db(replica=2)
    with robot.begin(1_000) as tx:
        tx.set("robot", "R1", "battery", 17)
        tx.append_event("R1", "low", {"battery": 17}, priority="safety_critical")
    below, above = Endpoint(robot), Endpoint(farm, "root")
    sides = below.session("parent", 1_000), above.session("child", 1_000)
    assert sides[0].phase == "greeting" and sides[0].peer is None
    now = 1_000
    while sides[0].phase != "live" and now < 30_000:
        carry(sides, now)
        now += 500
    assert sides[0].is_up and sides[0].is_idle() and sides[0].peer == 2
    assert farm.get("R1")["state"]["battery"] == 17
    assert [event["type"] for event in farm.events(event_type="low")] == ["low"]
    assert robot.waiting() == 0 and sides[0].stats()["events_sent"] == 1
    with pytest.raises(edgeweave.CorruptError) as caught:
        sides[1].receive(b"rubbish", now)
    assert not caught.value.ends_the_link
    above.set_peers(revoked=[1])
    with robot.begin(now) as tx:
        tx.set("robot", "R1", "battery", 16)
    frame = sides[0].poll(now)
    with pytest.raises(ValueError, match="revoked") as refused:
        sides[1].receive(frame, now)
    assert refused.value.ends_the_link
    sides[0].reset(now)
    assert sides[0].phase == "greeting"
    below.note_links(1, 60.0, now)
    assert below.note_links(0, 60.0, now + 1) is not None and below.is_degraded
    for wrong in [lambda: Endpoint(robot, "queen"), lambda: below.session("sideways", 0), lambda: Endpoint(robot, retry=-1.0)]:
        with pytest.raises(ValueError):
            wrong()


def frame_of(session, now):
    """The next frame; none when the peer went silent in the middle of a greeting, after which the session greets anew."""
    try:
        return session.poll(now)
    except edgeweave.Error as error:
        assert "checkpoint" in str(error)
        return None


@settings(max_examples=6, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.integers(0, 100)), max_size=20), st.integers(0, 2**16))
def test_stores_that_sync_over_a_link_that_loses_frames_agree(writes, losses):
    stores = open_db(), open_db(replica=2)
    ends = Endpoint(stores[0]), Endpoint(stores[1], "root")
    sides = ends[0].session("parent", 0), ends[1].session("child", 0)
    for at, (right, robot, battery) in enumerate(writes):
        with stores[right].begin(at) as tx:
            tx.set("robot", robot, "battery", battery)
    now, frames = 0, 0
    while not all(side.phase == "live" and side.is_idle() for side in sides) and now < 3_600_000:
        for session, other in (sides, sides[::-1]):
            while (frame := frame_of(session, now)) is not None:
                frames += 1
                if not losses >> (frames % 16) & 1 or frames > 20:
                    other.receive(frame, now)
        now += 1_000
    assert [side.phase for side in sides] == ["live", "live"]
    states = [{found["id"]: found["state"] for found in store.find("robot")} for store in stores]
    assert states[0] == states[1] and set(states[0]) == {robot for _, robot, _ in writes}
