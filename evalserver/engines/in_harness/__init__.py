"""What runs inside a harness's interpreter: standard library and the harness, nothing of ours."""
