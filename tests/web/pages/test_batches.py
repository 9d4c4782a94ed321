"""A batch on the page of jobs and on the page of a job."""

from tests.support import ServerProcess


async def test_the_jobs_of_a_batch_are_a_filtered_list(server: ServerProcess) -> None:
    async with server:
        batch = await server.api.call(
            "POST", "/batches", json={"jobs": [{"model": "dummy", "tasks": ["mme"]}] * 2}
        )
        await server.api.submit()
        everything = await server.api.text("/ui/jobs")
        page = await server.api.text(f"/ui/jobs?batch_id={batch['batch_id']}")
        job = await server.api.text(f"/ui/jobs/{batch['job_ids'][0]}")

    row = '<tr id="job-'
    assert everything.count(row) == page.count(row) + 1 == 3
    assert f"/ui/jobs?batch_id={batch['batch_id']}" in job
