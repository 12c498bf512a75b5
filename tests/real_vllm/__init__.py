"""Tests with a real vLLM, its build for CPUs; run by ``make real-vllm``."""
