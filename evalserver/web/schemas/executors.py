"""The schemas of executors: where jobs run."""

from types import MappingProxyType

from marshmallow import fields

from evalserver.web.schemas.fields import about
from evalserver.web.schemas.responses import JOB_ID, JobId, ResponseSchema


class NodeSchema(ResponseSchema):
    """A node of a cluster, in the cluster's own words."""

    name = fields.String()
    partitions = fields.List(fields.String())
    state = fields.String()
    resources = fields.String(allow_none=True, metadata=about("Such as `gpu:2`."))
    used = fields.String(allow_none=True, metadata=about("What is taken of the resources."))
    reason = fields.String(allow_none=True, metadata=about("Why the node is out of use."))


class JobThereSchema(ResponseSchema):
    """A job that an executor has."""

    job_id = JobId()
    status = fields.String(metadata=about("`queued`: it waits on the cluster; or `running`."))
    id = fields.String(allow_none=True, metadata=about("Its id on the cluster."))
    command = fields.String(allow_none=True, metadata=about("The command that shows it there."))
    node = fields.String(allow_none=True, metadata=about("The node that it runs on."))
    reason = fields.String(
        allow_none=True, metadata=about("Why it has not started, in the cluster's words.")
    )


class ExecutorSchema(ResponseSchema):
    """A place where jobs run."""

    name = fields.String()
    type = fields.String(metadata=about("`local`: the server's own machine; or `slurm`."))
    fault = fields.String(
        allow_none=True, metadata=about("Why it cannot be reached; this changes no job's state.")
    )
    max_handed_over = fields.Integer(
        allow_none=True, metadata=about("The most jobs that it has at once, waiting or running.")
    )
    jobs = fields.List(fields.Nested(JobThereSchema))
    nodes = fields.List(fields.Nested(NodeSchema))
    node_states = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata=about("How many nodes are in each state, the most frequent one first."),
    )


class ExecutorsSchema(ResponseSchema):
    """The answer of ``GET /executors``."""

    EXAMPLE = MappingProxyType(
        {
            "executors": [
                {
                    "name": "gpu-cluster",
                    "type": "slurm",
                    "fault": None,
                    "max_handed_over": 100,
                    "jobs": [
                        {
                            "job_id": JOB_ID,
                            "status": "queued",
                            "id": "4711",
                            "command": "scontrol show job 4711",
                            "node": None,
                            "reason": "Slurm: Resources, partition gpu, about 14:05 UTC",
                        }
                    ],
                    "nodes": [
                        {
                            "name": "n1",
                            "partitions": ["gpu"],
                            "state": "mixed",
                            "resources": "gpu:8",
                            "used": "gpu:6(IDX:0-5)",
                            "reason": None,
                        }
                    ],
                    "node_states": {"mixed": 1},
                }
            ]
        }
    )

    executors = fields.List(fields.Nested(ExecutorSchema))
