"""Gates: policies, baselines, and the evidence for a verdict. The rule itself is in analysis/."""
