"""Serves a GGUF model with llama.cpp's server: llama_server.py FILE PORT [CONTEXT].

CONTEXT: tokens of prompt and answer, 512 unless said otherwise.

Takes whichever package of pip there is: `xllamacpp` (the C++ server, as wheels) or `llama-cpp-python[server]`.
"""

import runpy
import sys
import time

CONTEXT = 512


def main() -> None:
    file, port = sys.argv[1:3]
    context = int(sys.argv[3]) if len(sys.argv) > 3 else CONTEXT
    try:
        import xllamacpp
    except ImportError:
        sys.argv = ["llama_cpp.server", "--host", "127.0.0.1", "--port", port, "--model", file]
        sys.argv += ["--n_ctx", str(context), "--logits_all", "true"]
        runpy.run_module("llama_cpp.server", run_name="__main__")
        return
    parameters = xllamacpp.CommonParams()
    parameters.model.path = file
    parameters.port = int(port)
    parameters.n_ctx = context
    parameters.n_parallel = 1
    # More would wait for one another on a machine that is busy with other tests.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
