"""What the papers do with a model, stage by stage: pre-train, fine-tune, evaluate."""
