# rlvr in an image, for CPUs (the default) or NVIDIA GPUs with vLLM:
#   docker build -t rlvr .
#   docker build -t rlvr-cuda --target cuda .
#   docker run --rm -v "$PWD/results:/rlvr/results" rlvr reproduce table=fgrpo/table1 scale=smoke
#   docker run --rm --gpus all --ipc=host -v "$PWD/results:/rlvr/results" rlvr-cuda doctor
# not slim: pycosat, which reasoning-gym asks for, has to be compiled
FROM python:3.11 AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE requirements/lock.txt ./
COPY rlvr rlvr
COPY hydra_plugins hydra_plugins
COPY conf conf
COPY experiments experiments
COPY results/published results/published
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels -c lock.txt . pycosat

FROM python:3.11-slim AS base
ENV PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HOME=/rlvr/.cache/huggingface
RUN pip install --upgrade pip uv
COPY requirements/lock.txt /lock.txt
COPY --from=wheel /wheels /wheels
WORKDIR /rlvr
ENTRYPOINT ["rlvr"]
CMD ["doctor"]

# vLLM pins torch, whose default wheels bring CUDA (asking for auto would find no GPU in a build); Triton compiles at run time and wants a C compiler
FROM base AS cuda
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY requirements/cuda.txt /cuda.txt
RUN uv pip install --system --find-links /wheels -c /cuda.txt "rlvr[vllm,ifeval] @ file://$(ls /wheels/rlvr-*.whl)"

# the plain wheel of torch, larger, where the build for CPUs can't be had
FROM base AS cpu
RUN uv pip install --system --torch-backend=cpu torch==2.13.0 || pip install torch==2.13.0
RUN pip install --find-links /wheels -c /lock.txt "rlvr[ifeval] @ file://$(ls /wheels/rlvr-*.whl)"
