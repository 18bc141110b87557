"""Decode speed of llama.cpp, to set beside the bench `prompts decode` on the same file and core.

Usage: pip install llama-cpp-python; taskset -c 1 python llama_cpp_decode.py MODEL.gguf [TOKENS] [q8_0]

With `q8_0` the file is requantised to Q8_0 first, as the crate does when it loads one.
"""

import os
import statistics
import sys
import tempfile
import time

import llama_cpp

PROMPT = b"Once upon a time, in a village by the sea, there lived a girl who"


def main():
    path, tokens = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 64
    with tempfile.TemporaryDirectory() as folder:
        if "q8_0" in sys.argv[3:]:
            requantised = os.path.join(folder, "q8_0.gguf")
            settings = llama_cpp.llama_model_quantize_default_params()
            settings.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0
            settings.allow_requantize = True
            llama_cpp.llama_model_quantize(path.encode(), requantised.encode(), settings)
            path = requantised
        llm = llama_cpp.Llama(path, n_ctx=512, n_threads=1, n_threads_batch=1, verbose=False)
        rates = []
        for _ in range(6):
            llm.reset()
            llm.eval(llm.tokenize(PROMPT, add_bos=False))
            start = time.perf_counter()
            for _ in range(tokens):
                llm.eval([llm.sample(temp=0.0)])
            rates.append(tokens / (time.perf_counter() - start))
        print(f"llama.cpp: median {statistics.median(rates[1:]):.1f} tokens/s of 5 runs, {tokens} tokens each")


main()
