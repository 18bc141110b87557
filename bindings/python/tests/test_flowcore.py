import os
import signal
import threading

import pytest

import edgeweave
from edgeweave.flowcore import Engine

SENSOR = """
workflow:
  name: anomaly_detection
  trigger: sensor_reading
  steps:
    - {id: filter, action: moving_average, params: {window: 10}}
    - {id: detect, action: threshold_check, params: {threshold: 0.8}}
    - {id: alert, action: send_event, condition: "detect.result == 'anomaly'"}
"""


def engine(sent, journal=None):
    engine = Engine(journal)
    engine.action("moving_average", lambda params, info: {"value": sum(info["input"]["values"]) / params["window"]})
    engine.action("threshold_check", lambda params, info: {"result": "anomaly" if sum(info["input"]["values"]) > 8 else "normal"})
    engine.action("send_event", lambda params, info: sent.append(info["run"]))
    engine.deploy(SENSOR)
    return engine


def test_a_workflow_runs_python(tmp_path):
    sent = []
    with engine(sent, tmp_path / "journal.db") as flows:
        run = flows.trigger("sensor_reading", {"values": [0.9] * 10})
        assert flows.run_until_ended(run)["status"] == "succeeded"
        quiet = flows.trigger("sensor_reading", {"values": [0.1] * 10})
        flows.run_until_idle()
        assert flows.status(quiet)["status"] == "succeeded"
        assert sent == [run] and flows.live_runs() == []
    with engine(sent, tmp_path / "journal.db") as flows:
        assert flows.status(run)["status"] == "succeeded"


def test_an_exception_fails_the_step_by_its_name():
    flows = Engine()

    def broken(params, info):
        raise KeyError("no such barn")

    flows.action("broken", broken)
    flows.deploy("workflow: {name: w, steps: [{id: a, action: broken}]}")
    info = flows.run_until_ended(flows.start("w", {}))
    assert info["status"] == "failed" and "KeyError" in str(info["failure"])


def test_an_action_that_uses_its_own_engine_is_told():
    flows = Engine()
    flows.action("again", lambda params, info: flows.live_runs())
    flows.deploy("workflow: {name: w, steps: [{id: a, action: again}]}")
    info = flows.run_until_ended(flows.start("w", {}))
    assert info["status"] == "failed" and "own engine" in str(info["failure"])


def test_an_interrupt_ends_the_call():
    flows = Engine()

    def interrupted(params, info):
        raise KeyboardInterrupt

    flows.action("interrupted", interrupted)
    flows.deploy("workflow: {name: w, steps: [{id: a, action: interrupted}]}")
    run = flows.start("w", {})
    with pytest.raises(KeyboardInterrupt):
        flows.run_until_ended(run)


def test_the_same_key_gives_the_same_run_and_nonsense_is_told():
    flows = engine([])
    first = flows.start("anomaly_detection", {"values": []}, key="k")
    assert flows.start("anomaly_detection", {"values": []}, key="k") == first
    with pytest.raises(edgeweave.Error):
        flows.deploy("workflow: {name: w, steps: [{id: a}]}")
    with pytest.raises(ValueError):
        flows.start("no_such_workflow", {})
    with pytest.raises(ValueError, match="key"):
        flows.start("anomaly_detection", {1: 2})
    flows.close()
    flows.close()
    with pytest.raises(edgeweave.ClosedError):
        flows.live_runs()


GATE = "workflow: {name: gate, steps: [{id: ok, approval: {prompt: 'open?', timeout: 1m}}, {id: ack, wait: {event: seen, timeout: 1h}}]}"


def test_a_person_decides_and_an_event_wakes():
    now = [0]
    flows = Engine(clock=lambda: now[0])
    flows.deploy(GATE)
    run = flows.start("gate", {})
    flows.run_until_idle()
    assert flows.next_wake() == 60_000 and not flows.has_work()
    assert [step["path"] for step in flows.steps(run) if step["status"] != "blocked"] == ["ok"]
    with pytest.raises(ValueError, match="approved or rejected"):
        flows.decide(run, "ok", "maybe", by="ann")
    flows.decide(run, "ok", "approved", by="ann", note="looked")
    flows.run_until_idle()
    flows.signal(run, "seen", {"by": "bob"})
    assert flows.run_until_ended(run)["status"] == "succeeded"
    late = flows.start("gate", {})
    flows.run_until_idle()
    now[0] = 60_000
    flows.run_until_idle()
    assert [step["path"] for step in flows.steps(late) if step["status"] == "waiting"] == ["ack"]
    flows.cancel(late, "false alarm")
    flows.run_until_idle()
    assert [run["status"] for run in flows.ended_runs()] == ["succeeded", "cancelled"]


def test_a_run_is_paused_and_goes_on():
    flows = Engine(clock=lambda: 0)
    flows.deploy(GATE)
    run = flows.start("gate", {})
    flows.run_until_idle()
    flows.pause(run, "the vet is here")
    flows.run_until_idle()
    assert flows.status(run)["status"] == "paused"
    flows.resume(run)
    flows.run_until_idle()
    assert flows.status(run)["status"] == "running"
    flows.set_link("cloud", "up")
    with pytest.raises(ValueError, match="up or down"):
        flows.set_link("cloud", "away")
    with pytest.raises(edgeweave.Error):
        flows.fork(run, "no such step")


def test_calls_can_be_performed_elsewhere_also_after_a_restart(tmp_path):
    for attempt in range(2):
        flows = Engine(tmp_path / "journal.db")
        flows.action_external("elsewhere")
        flows.deploy({"workflow": {"name": "far", "steps": [{"id": "a", "action": "elsewhere"}]}})
        flows.recover()
        if attempt == 0:
            run = flows.start("far", {"n": 1}, key="one")
        what, call = flows.next_call()
        assert what == "execute" and call.info["action"] == "elsewhere" and call.info["input"] == {"n": 1}
        assert flows.next_call() is None
        if attempt == 0:
            flows.close()
    flows.complete(call, {"done": True})
    assert flows.next_call() is None and flows.status(run)["status"] == "succeeded"
    flows.complete(call, {"done": True})
    flows.next_call()
    assert flows.stale_results() == 1
    failed = flows.start("far", {})
    _, call = flows.next_call()
    flows.fail(call, "Away", "no link")
    flows.next_call()
    assert "Away" in str(flows.status(failed)["failure"])
    assert flows.state("readings", "barn") is None


def test_an_interrupt_ends_a_long_pause():
    # A shell's background job starts with SIGINT ignored.
    held = signal.signal(signal.SIGINT, signal.default_int_handler)
    flows = Engine()
    flows.deploy("workflow: {name: w, steps: [{id: a, wait: {for: 1h}}]}")
    run = flows.start("w", {})
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        flows.run_until_ended(run)
    signal.signal(signal.SIGINT, held)
    assert flows.status(run)["status"] == "running"


def version(last, first="a"):
    steps = [{"id": first, "wait": {"event": "go"}}, {"id": "b", "set": {"v": last}}]
    return {"workflow": {"name": "watch", "durability": "step", "trigger": "look", "steps": steps}}


def test_versions_stand_side_by_side_and_live_runs_move():
    now = [100]
    changes = []
    flows = Engine(clock=lambda: now[0], audit_entries=100, measure=True, budget={"cpu_milli": 1000})
    flows.progress(changes.append)
    assert flows.lease("gateway-1", 60.0) > 0
    one = flows.deploy(version(1))
    run = flows.start("watch", {})
    flows.run_until_idle()
    two = flows.deploy_standby(version(2))
    assert flows.active_version("watch") == one and flows.active_version("nothing") is None
    flows.activate(two)
    assert flows.workflow("watch")["steps"][1]["set"] == {"v": 2} and flows.workflow("nothing") is None
    assert flows.check_upgrade(run, version(2)) == {"possible": True}
    assert not flows.check_upgrade(run, version(2, first="z"))["possible"]
    flows.upgrade(run, two)
    assert flows.publish("go", {}) == 1
    flows.run_until_idle()
    assert flows.status(run)["status"] == "succeeded"
    assert flows.rollback("watch") == one
    assert {"activated", "moved"} <= {entry["act"] for entry in flows.audit_log()}
    assert changes[-1]["event"] == "run" and changes[-1]["status"] == "succeeded"
    assert flows.held() == {"offline": 0, "budget": 0, "quota": 0} and isinstance(flows.latencies(), list)
    assert flows.forget_ended(1_000) == 1
    with pytest.raises(ValueError, match="32"):
        flows.activate("no hash")


def test_a_tenant_starts_no_more_than_its_quota():
    flows = Engine()
    flows.deploy(version(1))
    flows.quota("farm-1", live_runs_max=1)
    run = flows.start("watch", {}, key="k", tenant="farm-1")
    assert flows.start("watch", {}, key="k", tenant="farm-1") == run
    with pytest.raises(ValueError, match="farm-1"):
        flows.start("watch", {}, key="l", tenant="farm-1")
    flows.start("watch", {}, tenant="farm-2")


def test_calls_of_a_tier_go_where_it_was_placed_and_a_listener_that_fails_is_told():
    flows = Engine()
    flows.action("plan", lambda params, info: pytest.fail("it belongs on another tier"))
    flows.place("network", lambda params, info: {"plan": params["of"]})
    flows.deploy({"workflow": {"name": "p", "steps": [{"id": "a", "action": "plan", "latency": "10s", "params": {"of": "herd"}}]}})
    run = flows.start("p", {})
    assert flows.run_until_ended(run)["status"] == "succeeded"
    with pytest.raises(ValueError, match="far, mid or network"):
        flows.place("moon", lambda params, info: None)

    def broken(change):
        raise KeyError("the listener failed")

    flows.progress(broken)
    flows.start("p", {})
    with pytest.raises(KeyError, match="the listener failed"):
        flows.run_until_idle()
