"""``python -m evalserver.launch_server``: the same program as ``evalserver serve``."""

from evalserver.cli.serve import serve

if __name__ == "__main__":
    serve(prog_name="python -m evalserver.launch_server")
