"""The table of the dashboard's pages. The API's routes are in ``web/routes.py``.

Pages have URLs of their own, below ``/ui``. A URL of the API always returns JSON, so a link to it
means the same in a browser, in a script and in a cache.
"""

from evalserver.core.roles import Role
from evalserver.web.http.route import Answer, Route
from evalserver.web.pages import (
    compare,
    compare_samples,
    home,
    job,
    jobs,
    leaderboard,
    samples,
    system,
    trends,
)
from evalserver.web.pages.rendering import get_unknown_page

PAGE = (Answer(media_type="text/html"),)

PAGES = (
    Route("GET", "/", home.get_home, answers=PAGE, role=Role.VIEWER),
    Route(
        "GET",
        "/ui/jobs",
        jobs.get_jobs_page,
        jobs.JobsPageQuerySchema,
        answers=PAGE,
        role=Role.VIEWER,
    ),
    Route("GET", "/ui/jobs/{job_id}", job.get_job_page, answers=PAGE, role=Role.VIEWER),
    Route(
        "GET",
        "/ui/jobs/{job_id}/samples/{task}",
        samples.get_samples_page,
        samples.SamplesPageQuerySchema,
        answers=PAGE,
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/ui/compare",
        compare.get_compare_page,
        compare.ComparePageQuerySchema,
        answers=PAGE,
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/ui/compare/samples/{task}",
        compare_samples.get_compare_samples_page,
        compare_samples.CompareSamplesPageQuerySchema,
        answers=PAGE,
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/ui/leaderboard",
        leaderboard.get_leaderboard_page,
        leaderboard.LeaderboardPageQuerySchema,
        answers=PAGE,
        role=Role.VIEWER,
    ),
    Route(
        "GET",
        "/ui/trends",
        trends.get_trends_page,
        trends.TrendsQuerySchema,
        answers=PAGE,
        role=Role.VIEWER,
    ),
    Route("GET", "/ui/system", system.get_system_page, answers=PAGE, role=Role.VIEWER),
    # The last one: it has every other path.
    Route("GET", "/ui/{path}", get_unknown_page, answers=PAGE, role=Role.VIEWER),
)
