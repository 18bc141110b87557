import json

import pytest

import edgeweave
from edgeweave.promptopt import PromptSet, open_bundle, pack_bundle


@pytest.fixture
def prompts(tmp_path):
    texts = {"ultra": "{text}\nFault:", "fast": "Sensor: {text}\nFault:", "quality": "Is it failing? {text}\nFault:"}
    for tier, text in texts.items():
        prompt = {"format": "edgeweave-prompt/1", "tier": tier, "version": 1, "template": text}
        (tmp_path / f"prompt_{tier}.json").write_text(json.dumps(prompt))
    return PromptSet.load_dir(tmp_path)


def test_the_state_of_the_device_picks_the_prompt(prompts):
    choice = prompts.select({"battery": 0.15, "latency_budget_ms": 80, "criticality": "high"})
    assert choice.tier == "ultra" and choice.reason == "battery-low: battery < 0.2"
    assert choice.render({"text": "0.1 0.9"}) == "0.1 0.9\nFault:"
    assert prompts.select({"battery": 1.0, "criticality": "high", "latency_budget_ms": 5000}).tier == "quality"
    prompts.record(choice, "yes", latency=0.04, at=1_700_000_000_000, feedback="right")
    assert prompts.outcome_stats() == {"recorded": 1, "dropped": 0, "drained": 0, "held": 1}


def test_what_is_missing_is_told(prompts, tmp_path):
    choice = prompts.select({})
    with pytest.raises(edgeweave.Error):
        choice.render({})
    with pytest.raises(ValueError):
        prompts.select({"battery": "full"})
    with pytest.raises(edgeweave.Error):
        PromptSet.load_dir(tmp_path / "nowhere")


def prompt(tier, version, template, **more):
    return {"format": "edgeweave-prompt/1", "tier": tier, "version": version, "template": template, **more}


DECISION = {
    "options": [" yes", " no"],
    "labels": [{"name": "lame", "bias": 0.0, "weights": [1.0, 0.0]}, {"name": "sound", "bias": 0.0, "weights": [0.0, 1.0]}],
}


def made():
    return PromptSet([prompt("ultra", 1, "{text}"), prompt("fast", 1, "F {text}", decision=DECISION), prompt("quality", 1, "Q {text}")])


def test_versions_come_and_go():
    prompts = made()
    assert prompts.swap(json.dumps(prompt("fast", 2, "N {text}"))) == 1
    assert prompts.running("fast")["template"] == "N {text}" and prompts.rollback("fast") == 1
    with pytest.raises(ValueError, match="three"):
        PromptSet([])
    with pytest.raises(ValueError, match="ultra, fast or quality"):
        prompts.running("slow")
    assert made().policy()["rules"][0]["name"] == "battery-low"
    assert PromptSet([prompt(tier, 1, "{text}") for tier in ("ultra", "fast", "quality")], prompts.policy()).select({}).tier == "fast"


def test_a_bad_experiment_is_taken_back():
    prompts = made()
    prompts.start_experiment(prompt("fast", 2, "N {text}"), share=0.5, outcomes_min=20)
    picked = [prompts.select({}, key=str(key).encode()) for key in range(400)]
    candidates = [choice for choice in picked if choice.version == 2]
    assert 150 < len(candidates) < 250
    for choice in picked:
        prompts.record(choice, "?", latency=0.01, at=0, feedback="unreadable" if choice.version == 2 else "right")
    status = prompts.experiment("fast")
    assert status["candidate"] == 2 and status["share"] == 0 and status["rollback"]
    assert len(prompts.drain_outcomes()) == 400
    assert prompts.end_experiment("fast", "promote") == 1 and prompts.experiment("fast") is None


def test_a_bundle_travels_and_a_decision_is_read():
    prompts = made()
    bundle = pack_bundle([prompt("ultra", 5, "U {text}"), prompt("quality", 5, "L {text}")])
    assert [entry["tier"] for entry in open_bundle(bundle)] == ["ultra", "quality"]
    damaged = bytearray(bundle)
    damaged[-4] ^= 1
    with pytest.raises(edgeweave.Error):
        prompts.import_bundle(bytes(damaged))
    assert prompts.import_bundle(bundle) == 2 and prompts.running("ultra")["version"] == 5
    choice = prompts.select({})
    assert choice.options == [" yes", " no"] and choice.prompt["version"] == 1
    label, confidence = choice.decide([-0.1, -2.5])
    assert label == "lame" and confidence > 0.5
    with pytest.raises(ValueError, match="no decision"):
        prompts.select({"battery": 0.1}).decide([0.0])
