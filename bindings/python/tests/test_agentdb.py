import pytest

import edgeweave
from edgeweave.agentdb import AgentDb

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
