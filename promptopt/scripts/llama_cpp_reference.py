"""Write what llama.cpp says of a GGUF file, as the fixture that the `candle` tests compare with.

Usage: pip install llama-cpp-python; python llama_cpp_reference.py MODEL.gguf > tests/fixtures/smollm2_reference.json

The file's weights are first expanded to single precision: llama.cpp rounds activations to 8 bits beside quantised
weights, which moves a log-probability of this small model by some tenths.
"""

import json
import os
import sys
import tempfile

import llama_cpp
import numpy

TEXTS = [
    "", " ", "\n", "\n\n  x", "Hello, world!", "  two spaces  and\ttabs\r\n", "It's 12:30, they're late; I'd've gone",
    "1234567890 3.14159 -40 1e-9", "temp=23.5\u00b0C hum=81%", "na\u00efve caf\u00e9 \u00dcber stra\u00dfe",
    "\u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4 \u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "emoji \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467", "CamelCase snake_case kebab-case UPPER",
    "def f(x):\n    return x ** 2  # square\n", "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|> <|im_end|>text<|endoftext|>", "{\"a\": [1, 2.5, null], \"b\": \"c\\n\"}", "a\u00a0b\u2003c", "''''\"\"...!!!???",
    "x" * 300, "\u0663\u0664 \u2167 \u00bd \u00b2", "don't DON'T we'll WE'LL", "\u0000\u0001\u007f", "word\n\n\nword \n word",
]
PROMPT = "Review: the plot is thin but the cast is a joy to watch.\nSentiment:"
OPTIONS = [" positive", " negative", " mixed feelings"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        exact = os.path.join(folder, "exact.gguf")
        settings = llama_cpp.llama_model_quantize_default_params()
        settings.ftype = llama_cpp.LLAMA_FTYPE_ALL_F32
        settings.allow_requantize = True
        llama_cpp.llama_model_quantize(sys.argv[1].encode(), exact.encode(), settings)
        llm = llama_cpp.Llama(exact, logits_all=True, n_ctx=512, verbose=False)
    tokens = [[text, llm.tokenize(text.encode(), add_bos=False, special=True)] for text in TEXTS]
    scores = []
    for option in OPTIONS:
        prompt = llm.tokenize(PROMPT.encode(), add_bos=False, special=True)
        answer = llm.tokenize(option.encode(), add_bos=False, special=True)
        llm.reset()
        llm.eval(prompt + answer)
        total = 0.0
        for at, token in enumerate(answer):
            logits = numpy.asarray(llm.scores[len(prompt) + at - 1], dtype=numpy.float64)
            largest = logits.max()
            total += logits[token] - largest - numpy.log(numpy.exp(logits - largest).sum())
        scores.append(total)
    llm.reset()
    made = llm.create_completion(PROMPT, max_tokens=12, temperature=0.0)["choices"][0]["text"]
    report = {"tokens": tokens, "prompt": PROMPT, "options": OPTIONS, "scores": scores, "completion": made}
    json.dump(report, sys.stdout, indent=1)
    print()


main()
