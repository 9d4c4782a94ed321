"""Every route of the server, in one table: what it takes, who answers, and what."""

from http import HTTPStatus

from evalserver.core.roles import Role
from evalserver.web.api import (
    admin,
    artifacts,
    catalog,
    compare,
    docs,
    events,
    job_list,
    jobs,
    login,
    logs,
    merge,
    metrics,
    queue,
    results,
    samples,
    tokens,
)
from evalserver.web.api.static_files import MEDIA_TYPES
from evalserver.web.api.tokens import MadeTokenSchema, NewTokenSchema, TokensSchema
from evalserver.web.http.route import Answer, Route
from evalserver.web.schemas.compare_responses import ComparisonSchema
from evalserver.web.schemas.evaluate_request import ChangeJobSchema, EvaluateSchema
from evalserver.web.schemas.job_responses import JobSchema, JobsSchema, PlanSchema, QueuedSchema
from evalserver.web.schemas.queries import (
    CatalogQuerySchema,
    EvaluateHeadersSchema,
    EvaluateQuerySchema,
    EventsHeadersSchema,
    EventsQuerySchema,
    IfNoneMatchSchema,
    JobEventsQuerySchema,
    JobHeadersSchema,
    JobQuerySchema,
    LogHeadersSchema,
    LogQuerySchema,
    QueueQuerySchema,
)
from evalserver.web.schemas.responses import (
    BackupSchema,
    DrainedSchema,
    HealthSchema,
    MessageSchema,
    ModelsSchema,
    PrunedSchema,
    QueueSchema,
    StateSchema,
    TasksSchema,
)
from evalserver.web.schemas.result_responses import ArtifactsSchema, ResultsSchema, SamplesSchema

NOT_FOUND = HTTPStatus.NOT_FOUND
GONE = HTTPStatus.GONE
CONFLICT = HTTPStatus.CONFLICT
UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE

NO_SUCH_JOB = (NOT_FOUND, GONE, UNAVAILABLE)
"""What any route about one job may answer."""
UNCHANGED = Answer(status=HTTPStatus.NOT_MODIFIED)
ETAG = {"ETag": "Names this state of the answer, for `If-None-Match`."}
LINK = {"Link": "The address of the next page, as `next`, if there is one."}
LOG_OFFSET = {"Log-Offset": "The byte of the attempt's log at which the answer begins."}
ACCEPTED = {
    "Location": "The address of the job.",
    "Preference-Applied": "`respond-async`: the answer did not wait.",
}
REPLAY = {"Idempotent-Replay": "`true` when this is the answer to an earlier request."}
EVENT_STREAM = Answer(media_type="text/event-stream")

ROUTES = (
    Route("GET", "/health", queue.get_health, answers=(Answer(HealthSchema),), role=Role.ANYONE),
    Route(
        "GET", "/health/live", queue.get_liveness, answers=(Answer(StateSchema),), role=Role.ANYONE
    ),
    Route(
        "GET",
        "/health/ready",
        queue.get_readiness,
        answers=(Answer(StateSchema),),
        errors=(UNAVAILABLE,),
        role=Role.ANYONE,
    ),
    Route(
        "POST",
        "/evaluate",
        jobs.evaluate,
        EvaluateQuerySchema,
        body=EvaluateSchema,
        headers=EvaluateHeadersSchema,
        answers=(Answer(QueuedSchema, headers=REPLAY), Answer(PlanSchema)),
        errors=(CONFLICT, UNAVAILABLE),
        role=Role.SUBMITTER,
    ),
    Route(
        "POST",
        "/merge",
        merge.merge_checkpoint,
        body=merge.MergeSchema,
        headers=merge.MergeHeadersSchema,
        answers=(
            Answer(merge.MergedSchema),
            Answer(QueuedSchema, status=HTTPStatus.ACCEPTED, headers=ACCEPTED),
        ),
        errors=(NOT_FOUND, GONE, CONFLICT, HTTPStatus.INTERNAL_SERVER_ERROR, UNAVAILABLE),
        role=Role.SUBMITTER,
    ),
    Route(
        "GET",
        "/jobs",
        job_list.get_jobs,
        job_list.JobsQuerySchema,
        answers=(Answer(JobsSchema, headers=LINK),),
        errors=(UNAVAILABLE,),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/jobs/{job_id}",
        jobs.get_job,
        JobQuerySchema,
        headers=JobHeadersSchema,
        answers=(Answer(JobSchema, headers=ETAG), UNCHANGED),
        errors=NO_SUCH_JOB,
        role=Role.VIEWER,
    ),
    Route(
        "PATCH",
        "/jobs/{job_id}",
        jobs.change_job,
        body=ChangeJobSchema,
        role=Role.SUBMITTER,
        answers=(Answer(QueuedSchema),),
        errors=(*NO_SUCH_JOB, CONFLICT),
    ),
    Route(
        "DELETE",
        "/jobs/{job_id}",
        jobs.cancel_job,
        answers=(Answer(MessageSchema),),
        errors=(*NO_SUCH_JOB, CONFLICT),
        role=Role.SUBMITTER,
    ),
    Route(
        "POST",
        "/jobs/{job_id}/retry",
        jobs.retry_job,
        answers=(Answer(QueuedSchema),),
        errors=(*NO_SUCH_JOB, CONFLICT),
        role=Role.SUBMITTER,
    ),
    Route(
        "POST",
        "/jobs/{job_id}/prune",
        admin.prune_job,
        answers=(Answer(MessageSchema),),
        errors=(*NO_SUCH_JOB, CONFLICT),
        role=Role.ADMIN,
    ),
    Route(
        "GET",
        "/jobs/{job_id}/events",
        events.get_job_events,
        JobEventsQuerySchema,
        headers=EventsHeadersSchema,
        answers=(EVENT_STREAM,),
        errors=NO_SUCH_JOB,
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/jobs/{job_id}/log",
        logs.get_log,
        LogQuerySchema,
        headers=LogHeadersSchema,
        answers=(
            Answer(media_type="text/plain", headers=LOG_OFFSET),
            Answer(media_type="text/plain", status=HTTPStatus.PARTIAL_CONTENT, headers=LOG_OFFSET),
        ),
        errors=(*NO_SUCH_JOB, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/jobs/{job_id}/results",
        results.get_results,
        results.ResultsQuerySchema,
        answers=(Answer(ResultsSchema), Answer(media_type="text/csv")),
        errors=(*NO_SUCH_JOB, CONFLICT),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/jobs/{job_id}/samples/{task}",
        samples.get_samples,
        samples.SamplesQuerySchema,
        answers=(Answer(SamplesSchema, headers=LINK),),
        errors=(*NO_SUCH_JOB, CONFLICT),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/jobs/{job_id}/artifacts",
        artifacts.get_artifacts,
        artifacts.ArtifactsQuerySchema,
        answers=(Answer(ArtifactsSchema), Answer(media_type="application/zip")),
        errors=NO_SUCH_JOB,
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/jobs/{job_id}/artifacts/{path}",
        artifacts.get_artifact,
        headers=IfNoneMatchSchema,
        answers=(
            Answer(media_type="*/*", headers=ETAG),
            Answer(media_type="*/*", status=HTTPStatus.PARTIAL_CONTENT),
            UNCHANGED,
        ),
        errors=(*NO_SUCH_JOB, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/compare",
        compare.get_comparison,
        compare.CompareQuerySchema,
        answers=(Answer(ComparisonSchema),),
        errors=(*NO_SUCH_JOB, CONFLICT),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/events",
        events.get_events,
        EventsQuerySchema,
        headers=EventsHeadersSchema,
        answers=(EVENT_STREAM,),
        errors=(UNAVAILABLE,),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/queue",
        queue.get_queue,
        QueueQuerySchema,
        answers=(Answer(QueueSchema),),
        errors=(UNAVAILABLE,),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/tasks",
        catalog.get_tasks,
        CatalogQuerySchema,
        answers=(Answer(TasksSchema),),
        errors=(UNAVAILABLE,),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/models",
        catalog.get_models,
        CatalogQuerySchema,
        answers=(Answer(ModelsSchema),),
        errors=(UNAVAILABLE,),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/metrics",
        metrics.get_metrics,
        answers=(
            Answer(media_type="text/plain"),
            Answer(media_type="application/openmetrics-text"),
        ),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/openapi.json",
        docs.get_description,
        headers=IfNoneMatchSchema,
        answers=(Answer(media_type="application/json", headers=ETAG), UNCHANGED),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/docs",
        docs.get_docs,
        headers=IfNoneMatchSchema,
        answers=(Answer(media_type="text/html", headers=ETAG), UNCHANGED),
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/static/{folder}/{file}",
        docs.get_file,
        headers=IfNoneMatchSchema,
        answers=(
            *(Answer(media_type=each, headers=ETAG) for each in MEDIA_TYPES.values()),
            UNCHANGED,
        ),
        errors=(NOT_FOUND,),
        role=Role.ANYONE,
    ),
    Route(
        "POST",
        "/drain",
        admin.drain,
        admin.DrainQuerySchema,
        answers=(Answer(DrainedSchema),),
        errors=(UNAVAILABLE,),
        role=Role.ADMIN,
    ),
    Route(
        "POST",
        "/resume",
        admin.resume,
        answers=(Answer(MessageSchema),),
        errors=(UNAVAILABLE,),
        role=Role.ADMIN,
    ),
    Route(
        "POST",
        "/prune",
        admin.prune,
        admin.PruneQuerySchema,
        answers=(Answer(PrunedSchema),),
        errors=(UNAVAILABLE,),
        role=Role.ADMIN,
    ),
    Route(
        "POST",
        "/backup",
        admin.make_backup,
        answers=(Answer(BackupSchema),),
        errors=(CONFLICT, UNAVAILABLE),
        role=Role.ADMIN,
    ),
    Route(
        "GET",
        "/tokens",
        tokens.get_tokens,
        answers=(Answer(TokensSchema),),
        errors=(UNAVAILABLE,),
        role=Role.ADMIN,
    ),
    Route(
        "POST",
        "/tokens",
        tokens.create_token,
        body=NewTokenSchema,
        answers=(Answer(MadeTokenSchema),),
        errors=(CONFLICT, UNAVAILABLE),
        role=Role.ADMIN,
    ),
    Route(
        "DELETE",
        "/tokens/{name}",
        tokens.revoke_token,
        answers=(Answer(MessageSchema),),
        errors=(NOT_FOUND, UNAVAILABLE),
        role=Role.ADMIN,
    ),
    Route(
        "GET",
        "/login",
        login.get_login,
        login.LoginQuerySchema,
        answers=(Answer(media_type="text/html"),),
        role=Role.ANYONE,
    ),
    Route(
        "POST",
        "/login",
        login.log_in,
        form=login.LoginFormSchema,
        answers=(
            Answer(status=HTTPStatus.SEE_OTHER),
            Answer(media_type="text/html", status=HTTPStatus.UNAUTHORIZED),
        ),
        errors=(UNAVAILABLE,),
        role=Role.ANYONE,
    ),
    Route(
        "POST",
        "/logout",
        login.log_out,
        answers=(Answer(status=HTTPStatus.SEE_OTHER),),
        errors=(UNAVAILABLE,),
        role=Role.ANYONE,
    ),
)
