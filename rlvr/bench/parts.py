"""What `rlvr bench` can measure; kept apart, so that the command line knows it without torch."""

CONTEST = ("step", "generation", "logprobs", "update", "memory")  # against TRL and vLLM
ALONE = ("pass_at_k", "process_sets", "packing", "verification", "startup")
PARTS = (*CONTEST, "scaling", *ALONE)
MODELS = ("embedded", "smollm2")
PRECISIONS = ("float32", "bfloat16")
