"""Decode speed of llama.cpp, to set beside the bench `prompts decode` on the same file and core.

Usage: pip install xllamacpp; taskset -c 1 python llama_cpp_decode.py MODEL.gguf [TOKENS]
       pip install llama-cpp-python; taskset -c 1 python llama_cpp_decode.py MODEL.gguf [TOKENS] [q8_0]

`xllamacpp` holds llama.cpp's own server, whose timings are taken. With `q8_0` (`llama-cpp-python` alone) the file is
requantised to Q8_0 first, as the crate does when it loads one.
"""

import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request

PROMPT = "Once upon a time, in a village by the sea, there lived a girl who"
RUNS = 6


def of_server(path, tokens):
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.port = 8177
    parameters.n_ctx = 512
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(parameters)
    asked = {"prompt": PROMPT, "n_predict": tokens, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.listening_address}/completion", json.dumps(asked).encode(), headers)
    rates = []
    for _ in range(RUNS):
        with urllib.request.urlopen(request) as answer:
            rates.append(json.load(answer)["timings"]["predicted_per_second"])
    return rates


def of_library(path, tokens, requantised):
    import llama_cpp

    with tempfile.TemporaryDirectory() as folder:
        if requantised:
            smaller = os.path.join(folder, "q8_0.gguf")
            settings = llama_cpp.llama_model_quantize_default_params()
            settings.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0
            settings.allow_requantize = True
            llama_cpp.llama_model_quantize(path.encode(), smaller.encode(), settings)
            path = smaller
        llm = llama_cpp.Llama(path, n_ctx=512, n_threads=1, n_threads_batch=1, verbose=False)
        rates = []
        for _ in range(RUNS):
            llm.reset()
            llm.eval(llm.tokenize(PROMPT.encode(), add_bos=False))
            start = time.perf_counter()
            for _ in range(tokens):
                llm.eval([llm.sample(temp=0.0)])
            rates.append(tokens / (time.perf_counter() - start))
        return rates


def main():
    path, tokens = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 64
    requantised = "q8_0" in sys.argv[3:]
    try:
        rates = of_library(path, tokens, requantised)
    except ImportError:
        if requantised:
            raise
        rates = of_server(path, tokens)
    rate = statistics.median(rates[1:])
    print(f"llama.cpp: median {rate:.1f} tokens/s of {RUNS - 1} runs, {tokens} tokens each", flush=True)
    # The server's threads would wait for requests for ever.
    os._exit(0)


main()
