"""The real DSPy on the other side of the import and export.

Usage: pip install dspy
       python dspy_roundtrip.py save FILE    writes the state of a module with one predictor and two examples
       python dspy_roundtrip.py show FILE    loads a state into such a module and prints what DSPy then holds
       python dspy_roundtrip.py bare FILE    writes the state of the predictor alone (the fixture of the tests)
"""

import json
import sys

import dspy


class Feeling(dspy.Signature):
    """Say what the review feels."""

    review: str = dspy.InputField(desc="a film review")
    feeling: str = dspy.OutputField(desc="positive or negative")


class Program(dspy.Module):
    def __init__(self):
        super().__init__()
        self.classify = dspy.Predict(Feeling)


def main():
    action, path = sys.argv[1:]
    program = Program()
    predictor = program.classify
    if action in ("save", "bare"):
        predictor.demos = [
            dspy.Example(review="a joy, \"twice\"", feeling="positive").with_inputs("review"),
            dspy.Example(review="na\u00efve {and} dull\n", feeling="negative").with_inputs("review"),
        ]
        (program if action == "save" else predictor).save(path)
        return
    program.load(path)
    fields = predictor.signature.fields.values()
    print(json.dumps({
        "instructions": predictor.signature.instructions,
        "fields": [[field.json_schema_extra["prefix"], field.json_schema_extra["desc"]] for field in fields],
        "demos": [dict(demo) for demo in predictor.demos],
    }))


main()
