import json

import pytest

import edgeweave
from edgeweave.promptopt import PromptSet


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
