"""Measuring speed, memory and cost of models. `tools/analysis_tools` is the command line."""
