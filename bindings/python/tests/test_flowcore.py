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
