"""vLLM alone, sampling for the same prompts (see `rlvr.bench.side`); needs nothing of rlvr but that file."""

import json
import os
import sys
import time

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")


def main() -> None:
    """Serve until there is nothing more to read."""
    from vllm import LLM, SamplingParams

    from rlvr.bench.side import peak_bytes, requests
    from rlvr.policy.location import EMBEDDED

    incoming = requests()
    job = json.loads(sys.argv[1])
    model = str(EMBEDDED) if job["model"] == "embedded" else job["model"]
    # prompts are asked again and again: without this vLLM would take them from its cache
    llm = LLM(
        model, dtype=job["precision"], max_model_len=128, enable_prefix_caching=False, max_num_seqs=1024
    )
    for request, answer in incoming:
        if request["do"] == "memory":
            answer({"peak": peak_bytes()})
            continue
        sampling = SamplingParams(
            n=job["group_size"], max_tokens=job["max_tokens"], temperature=1.0, logprobs=0
        )
        prompts = [{"prompt_token_ids": ids} for ids in request["prompts"]]
        started = time.perf_counter()
        outputs = llm.generate(prompts, sampling, use_tqdm=False)
        seconds = time.perf_counter() - started
        answer({"seconds": seconds, "tokens": sum(len(c.token_ids) for o in outputs for c in o.outputs)})


if __name__ == "__main__":
    main()
