"""Run folders: checkpoints, history, the best checkpoint and evaluation results."""
