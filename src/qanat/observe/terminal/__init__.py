"""What a person sees while an update runs: `progress` on a terminal, `lines` elsewhere."""
