"""verl's config, data set, reward manager, Ray workers and transfer queue, with ours in them."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("verl")
import hydra
import verl.trainer
from omegaconf import OmegaConf
from tensordict import TensorDict
from verl import DataProto
from verl.utils.config import omega_conf_to_dataclass, validate_config

from rlvr.backends.verl.advantages import UNSCORABLE
from rlvr.backends.verl.data import problem_of
from rlvr.backends.verl.launch import Launch, prepare
from rlvr.config import load_config
from rlvr.files.run_directory import RunDirectory
from rlvr.policy.policy import load_tokenizer

pytestmark = pytest.mark.verl
VERL_CONFIGS = str(Path(verl.trainer.__file__).parent / "config")


def launch(folder: Path, *changes: str) -> Launch:
    config = load_config(
        ["scale=smoke", "backend=verl", "rollout=vllm", "tracking=local", f"runs={folder}", *changes]
    )
    directory = RunDirectory(config)
    try:
        return prepare(config, directory)
    finally:
        directory.close()


def composed(given: Launch):
    """verl's config as verl would compose it; Hydra refuses a key that is not in it and has no +."""
    with hydra.initialize_config_dir(VERL_CONFIGS, version_base=None):
        return hydra.compose("ppo_trainer", given.command[3:])


@pytest.mark.parametrize(
    "changes",
    [
        ["algorithm=grpo", "advantage_scaling=focal", "algorithm.kl_coefficient=0.01"],
        ["algorithm=dapo", "algorithm.dynamic_sampling.enabled=true", "algorithm.mismatch_cap=2.0"],
        ["algorithm=cispo", "credit=process_lambda", 'backend.overrides=["trainer.nnodes=2"]'],
        ["algorithm=dr_grpo", "training.precision=bfloat16"],
    ],
)
def test_verls_config_composes_from_ours(changes: list[str], tmp_path: Path):
    given = launch(tmp_path, *changes)
    config = composed(given)
    added = sorted(argument.split("=")[0] for argument in given.command[3:] if argument.startswith("+"))
    assert added == [
        "+actor_rollout_ref.rollout.engine_kwargs.vllm.override_generation_config",
        "+algorithm.rlvr.config",
        "+algorithm.rlvr.end_ids",
        "+ray_kwargs.ray_init.runtime_env.env_vars.VERL_USE_EXTERNAL_MODULES",
    ]
    # verl's own checks, and its dataclasses, which refuse unknown keys and wrong types
    validate_config(config, use_reference_policy="kl" in changes[-1], use_critic=False)
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    assert actor.policy_loss.loss_mode == ("rlvr_cispo" if "algorithm=cispo" in changes else "rlvr_grpo")
    assert omega_conf_to_dataclass(config.actor_rollout_ref.rollout).n == 8
    ends = json.loads(config.actor_rollout_ref.rollout.engine_kwargs.vllm.override_generation_config)
    assert ends == {"eos_token_id": list(config.algorithm.rlvr.end_ids)}
    assert config.trainer.nnodes == (2 if "algorithm=cispo" in changes else 1)


def test_verls_data_set_reads_our_problems(tmp_path: Path):
    from verl.utils.dataset.rl_dataset import RLHFDataset

    config = composed(launch(tmp_path, "data.size=64"))
    tokenizer = load_tokenizer(load_config(["scale=smoke"]).model)
    rows = RLHFDataset(config.data.train_files, tokenizer, config.data, processor=None)
    assert len(rows) == 64
    row = rows[5]
    problem = problem_of(row["extra_info"])
    assert row["raw_prompt"] == [dict(message) for message in problem.prompt]
    prompt = tokenizer.apply_chat_template(
        row["raw_prompt"],
        add_generation_prompt=True,
        return_dict=False,
        **config.data.apply_chat_template_kwargs,
    )
    assert len(prompt) <= config.data.max_prompt_length


@pytest.fixture
def judge(tmp_path: Path):
    """The reward of a text, by the manager that verl's config names, on verl's data types."""
    from verl.trainer.ppo.reward import load_reward_manager

    config = composed(launch(tmp_path, "data.size=64", "training.sampling.max_tokens=8"))
    tokenizer = load_tokenizer(load_config(["scale=smoke"]).model)
    manager = load_reward_manager(config, tokenizer)
    row = {
        "problem": json.dumps(
            {
                "id": "x",
                "source": "gcd",
                "prompt": [{"role": "user", "content": "gcd 12 18"}],
                "answer": "6",
                "verifier": "integer",
                "metadata": {},
            }
        ),
    }

    def reward(ids: list[int]) -> dict:
        batch = {
            "responses": torch.tensor([ids]),
            "attention_mask": torch.ones(1, 3 + len(ids), dtype=torch.int64),
        }
        data = DataProto.from_dict(
            tensors=batch,
            non_tensors={
                "extra_info": np.array([row], dtype=object),
                "data_source": np.array(["gcd"], dtype=object),
            },
        )
        return asyncio.get_event_loop().run_until_complete(manager.run_single(data))

    return tokenizer, manager, reward


def test_the_reward_manager_gives_raw_correctness(judge, monkeypatch: pytest.MonkeyPatch):
    tokenizer, manager, reward = judge
    (end,) = manager.end_ids

    def ids(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    right = reward([*ids("6"), end])
    assert (right["reward_score"], right["reward_extra_info"]["acc"]) == (1.0, 1.0)
    assert (right["reward_extra_info"]["benchmark"], right["reward_extra_info"]["problem"]) == ("gcd", "x")
    assert reward([*ids("7"), end])["reward_score"] == 0.0
    # as long as is allowed: right when it ended there, wrong when it was cut
    filled = (ids("6") * 8)[:7]
    assert reward([*filled, end])["reward_score"] == 0.0
    padded = ids("6") + [end] * 7
    assert reward(padded)["reward_score"] == 1.0
    assert reward([end] * 7 + ids("6")[:1])["reward_score"] == 0.0
    monkeypatch.setattr(manager.settings.algorithm, "truncated", "masked")
    masked = reward([end] * 7 + ids("6")[:1])
    assert masked["reward_score"] == UNSCORABLE
    validated = masked["reward_extra_info"]  # where a cut answer is wrong, as in rlvr's own
    assert (validated["unscorable"], validated["acc"]) == (0.0, 0.0)


def python(code: str, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def test_a_worker_without_our_functions_ends_with_the_reason():
    """verl goes on without a plug-in it can't import; not without one of VERL_USE_EXTERNAL_MODULES."""
    done = python("import verl", VERL_USE_EXTERNAL_MODULES="rlvr.backends.verl.nothing")
    assert done.returncode != 0
    assert "No module named 'rlvr.backends.verl.nothing'" in done.stderr


def test_the_entry_point_alone_registers_everything():
    names = "import verl; from verl.trainer.ppo import core_algos as c; "
    names += "print('rlvr' in c.ADV_ESTIMATOR_REGISTRY, 'rlvr_cispo' in c.POLICY_LOSS_REGISTRY)"
    assert python(names, VERL_USE_EXTERNAL_MODULES="").stdout.split() == ["True", "True"]


@pytest.fixture(scope="module")
def ray_cluster():
    import ray
    from verl.trainer.constants_ppo import get_ppo_ray_runtime_env

    modules = {"VERL_USE_EXTERNAL_MODULES": "rlvr.backends.verl.plugin,rlvr.backends.verl.trainer"}
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    runtime = OmegaConf.merge(get_ppo_ray_runtime_env(), {"env_vars": modules | path})
    ray.init(num_cpus=2, include_dashboard=False, runtime_env=OmegaConf.to_container(runtime))
    yield ray
    ray.shutdown()


def test_rays_workers_have_our_functions(ray_cluster):
    @ray_cluster.remote
    def registered() -> list[str]:
        import verl  # noqa: F401
        from verl.trainer.ppo.core_algos import get_adv_estimator_fn, get_policy_loss_fn
        from verl.trainer.ppo.v1.trainer_base import get_trainer_cls

        functions = [get_adv_estimator_fn("rlvr"), get_policy_loss_fn("rlvr_grpo")]
        return [f.__module__ for f in (*functions, get_trainer_cls("rlvr_process_lambda"))]

    own = [f"rlvr.backends.verl.{module}" for module in ("advantages", "losses", "trainer")]
    assert ray_cluster.get(registered.remote()) == own


def test_the_trainer_folds_token_weights_into_the_transfer_queue(ray_cluster):
    """Two completions that share their first token, and one that could not be judged."""
    import transfer_queue as tq

    from rlvr.backends.verl.trainer import fold_into

    def nested(rows: list[list[float]], dtype=torch.float32) -> torch.Tensor:
        return torch.nested.as_nested_tensor(
            [torch.tensor(r, dtype=dtype) for r in rows], layout=torch.jagged
        )

    tq.init(OmegaConf.create({"backend": {"SimpleStorage": {"num_data_storage_units": 1}}}))
    try:
        fields = {
            "responses": nested([[5, 6, 7], [5, 8], [5, 6]], torch.int64),
            "rm_scores": nested([[0, 0, 1], [0, 0], [0, UNSCORABLE]]),
            "advantages": nested([[1, 1, 1], [-1, -1], [0, 0]]),
        }
        keys = ["a_0_0", "a_1_0", "a_2_0"]
        data = TensorDict(fields, batch_size=3)
        data["uid"] = ["a", "a", "a"]
        tags = [{} for _ in keys]
        batch = tq.kv_batch_put(keys=keys, partition_id="train", fields=data, tags=tags)
        fold_into(batch)
        stored = tq.kv_batch_get(keys=keys, partition_id="train", select_fields=["advantages"])
        assert [row.tolist() for row in stored["advantages"].unbind()] == [[0.5, 1, 1], [-0.5, -1], [0, 0]]
    finally:
        tq.close()
