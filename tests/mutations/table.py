"""The table of mutations: each changes a line of the code, and names the tests that must then fail.

Add a row for each guarantee: if no test fails when the line that ensures it is changed, the
guarantee is not tested.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """Replaces ``original``, which occurs once in a file of the package, by ``mutated``.

    ``tests`` are the pytest node IDs, below ``tests/``, that must fail.
    """

    name: str
    file: str
    original: str
    mutated: str
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "leases of jobs that have ended stay",
        "scheduling/lease_sweep.py",
        "return (await self._store.queries.job(job_id)).status in FINISHED",
        "return False",
        ("web/api/test_leases.py::test_a_lease_is_removed_at_the_end_of_its_job",),
    ),
    Mutation(
        "an evaluation reads the checkpoint and not its links",
        "checkpoints/leases/leases.py",
        "return job.request.changed(model_args={**(job.request.model_args or {}), **paths})",
        "return job.request",
        ("web/api/test_leases.py::test_a_leased_checkpoint_is_evaluated_after_it_was_removed",),
    ),
    Mutation(
        "files that were written in place since the submission are evaluated",
        "checkpoints/leases/leases.py",
        "if not is_intact(lease, leased):",
        "if False:",
        ("web/api/test_leases.py::test_a_file_that_is_written_in_place_fails_the_job",),
    ),
    Mutation(
        "a record that comes again is written again",
        "trackers/json_lines.py",
        "if record.key in self._keys:",
        "if False:",
        ("trackers/test_json_lines.py::TestGoingOn",),
    ),
    Mutation(
        "trackers get the secrets of the submitter's own jobs",
        "trackers/records.py",
        'request = masked({**job.get("request", {})})',
        'request = {**job.get("request", {})}',
        ("trackers/test_json_lines.py::TestSending",),
    ),
    Mutation(
        "numbers of jobs that were pruned meanwhile are not sent",
        "trackers/feed.py",
        "job = self._kept(job_id)",
        "return None",
        ("trackers/test_json_lines.py::TestGoingOn",),
    ),
    Mutation(
        "a newer step supersedes jobs of other submitters",
        "store/queued_series.py",
        "AND submitted_by = :submitted_by AND engine = :engine",
        "AND engine = :engine",
        ("store/test_supersession.py::test_a_job_that_differs_is_kept",),
    ),
    Mutation(
        "a field that says what a label says changes what a key stands for",
        "submission/idempotency.py",
        "if said.get(name) == value:",
        "if False:",
        (
            "web/api/test_series.py"
            "::test_a_field_that_says_what_a_label_says_is_the_same_submission",
        ),
    ),
    Mutation(
        "a newer step starts without giving its place to the one that it overtakes",
        "store/queued_series.py",
        '_set_place(tx, before["job_id"], own["place"])',
        "pass",
        (
            "store/test_newest_first.py"
            "::test_the_one_that_is_overtaken_gets_the_place_of_the_newer_one",
        ),
    ),
    Mutation(
        "a series takes one job more than it may",
        "store/queued_series.py",
        "if waiting >= max_waiting:",
        "if waiting > max_waiting:",
        ("web/api/test_series.py::test_a_submission_to_a_full_series_is_to_be_sent_later",),
    ),
    Mutation(
        "a full queue accepts whatever wants to supersede, also if it finds nothing",
        "store/queued_series.py",
        "sum(each.jobs for each in found) < wanted.jobs",
        "False",
        (
            "submission/test_submitter.py"
            "::test_a_full_queue_rejects_a_job_that_would_supersede_none_of_it",
        ),
    ),
    Mutation(
        "a batch counts as one job in the quotas",
        "submission/queue_limits.py",
        "jobs, size = len(before), sum(before)",
        "jobs, size = 0, 0",
        ("web/api/test_batches.py::test_a_batch_that_exceeds_the_queue_is_rejected_as_a_whole",),
    ),
    Mutation(
        "a batch is written in several units of work",
        "store/job_store.py",
        "await self._writer.run(\n"
        "            lambda tx: require_freed(submit_batch(tx, jobs, self._now()), must_free)\n"
        "        )",
        "[await self.submit(job) for job in jobs]",
        ("store/test_batches.py::test_a_failed_batch_does_not_affect_what_is_written_with_it",),
    ),
    Mutation(
        "events of a later commit overtake those of a batch",
        "store/notifications.py",
        "self._steps.extend(steps)",
        "self._steps = deque([*steps, *self._steps])",
        ("store/test_batches.py::test_events_are_heard_in_the_order_of_the_audit_log",),
    ),
    Mutation(
        "closing the store does not wait for listeners",
        "store/writer.py",
        "loop.call_soon_threadsafe(self._notifications.add, [self._ended.set])",
        "loop.call_soon_threadsafe(self._ended.set)",
        ("store/test_batches.py::test_closing_the_store_waits_until_all_events_were_heard",),
    ),
    Mutation(
        "a secret that is varied in a sweep becomes a label",
        "submission/sweep.py",
        " and not is_secret_name(path)",
        "",
        (
            "web/api/test_batches.py"
            "::test_the_values_of_a_sweep_are_labels_unless_they_are_secret_or_long",
        ),
    ),
    Mutation(
        "anybody may cancel a batch",
        "web/api/batches.py",
        'require_own(request, batch.submitted_by, f"Batch {batch_id}")',
        "pass",
        ("security/test_roles.py::test_only_the_submitter_and_administrators_cancel_a_batch",),
    ),
    Mutation(
        "output is held back by the shortest secret",
        "runner/output.py",
        "len(text) - len(self._secrets[-1]) + 1",
        "len(text) - len(self._secrets[0]) + 1",
        (
            "runner/test_output.py::test_a_long_secret_in_two_pieces_is_masked_along_with_a_short_one",
        ),
    ),
    Mutation(
        "the files of a lost attempt are not masked",
        "attempts/conclusion.py",
        "        await self._mask_output(job, paths, info)\n        if isinstance",
        "        if not isinstance(end, Lost):\n"
        "            await self._mask_output(job, paths, info)\n        if isinstance",
        ("scheduling/test_scheduler.py::test_the_files_of_a_lost_attempt_are_masked",),
    ),
    Mutation(
        "a secret of 8 characters is none",
        "core/masking.py",
        "if len(secret) >= MIN_SECRET_CHARACTERS",
        "if len(secret) > MIN_SECRET_CHARACTERS",
        ("core/test_masking.py",),
    ),
    Mutation(
        "a session has no end",
        "auth/access.py",
        "if until <= now or not _is_unexpired(known, now):",
        "if not _is_unexpired(known, now):",
        ("auth/test_access.py::test_a_session_is_valid_until_it_expires",),
    ),
    Mutation(
        "a token that is revoked during a login opens a session",
        "auth/access.py",
        "if self._by_hash.get(known.secret_hash) is not known:",
        "if False:",
        ("auth/test_access.py::test_a_token_that_is_revoked_during_a_login_opens_no_session",),
    ),
    Mutation(
        "a read time-out counts as not received",
        "client/retries.py",
        "    httpx.PoolTimeout,\n",
        "    httpx.PoolTimeout,\n    httpx.ReadTimeout,\n",
        ("client/test_retries.py",),
    ),
    Mutation(
        "that a request was received is forgotten between tries",
        "client/sending.py",
        "received = received or outcome.received",
        "received = outcome.received",
        ("client/test_retries.py",),
    ),
    Mutation(
        "the grace of a cancel is 0",
        "runner/watch.py",
        "time.monotonic() + self._grace_s",
        "time.monotonic()",
        ("runner/test_stopping.py::test_a_cancelled_harness_has_a_grace_period_to_save_its_work",),
    ),
    Mutation(
        "a lock that is busy for a moment is given up at once",
        "runner/supervisor.py",
        "MAX_LOCK_SECONDS = 2.0",
        "MAX_LOCK_SECONDS = 0.0",
        ("runner/test_supervisor.py",),
    ),
    Mutation(
        "after a fault of our own the evaluation goes on",
        "attempts/attempts.py",
        "        await self.stop(job)\n        await self._executors.of(job.executor).wait(",
        "        await self._executors.of(job.executor).wait(",
        ("scheduling/test_scheduler.py",),
    ),
    Mutation(
        "a stop that failed is not tried again",
        "attempts/attempts.py",
        "self._run_later(self._stop_again(job))",
        "self._stop_again(job).close()",
        ("end_to_end/test_no_room.py::test_an_undeliverable_cancel_is_delivered_later",),
    ),
    Mutation(
        "an attempt that was lost after a cancel is tried again",
        "attempts/conclusion.py",
        "current.cancel_requested_at is None and not is_stalled",
        "not is_stalled",
        ("scheduling/test_scheduler.py",),
    ),
    Mutation(
        "a stalled attempt that its cluster ended without a record was cancelled",
        "attempts/conclusion.py",
        "if not await self._is_stopped_for_stall(await self._read(job)):",
        "if True:",
        (
            "end_to_end/test_attempt_crash_points.py"
            "::test_killed_after_a_stall_was_found_to_fail_the_job",
        ),
    ),
    Mutation(
        "a job that fills a gap may start too late",
        "attempts/launcher.py",
        "spec is None or self._preparation.seconds_until(start_by) == 0",
        "spec is None",
        ("attempts/test_attempts.py",),
    ),
    Mutation(
        "a job that fills a gap uses up its submitter's limit",
        "scheduling/order.py",
        "    if not _keeps_token_limit(head, job, inventory):\n        return None\n",
        "",
        ("scheduling/test_order.py",),
    ),
    Mutation(
        "the running job is unknown after a restart",
        "scheduling/scheduler.py",
        "            self._running.load(job, await self._store.queries.start_by(job.job_id))\n",
        "            pass\n",
        (
            "end_to_end/test_crash_points.py"
            "::test_a_job_whose_start_was_interrupted_is_running_after_the_restart",
        ),
    ),
    Mutation(
        "commits are not synced to the disk",
        "store/store.py",
        "synchronous = FULL",
        "synchronous = NORMAL",
        ("store/test_faults.py",),
    ),
    Mutation(
        "a database at fault is not probed",
        "store/writer.py",
        "                self._probe()\n",
        "                pass\n",
        ("store/test_faults.py",),
    ),
    Mutation(
        "the newest migration's checksum is not looked at",
        "store/migrate.py",
        "    for step in steps[:version]:\n        if not is_accepted",
        "    for step in steps[: version - 1]:\n        if not is_accepted",
        ("store/test_migrate.py",),
    ),
    Mutation(
        "a flag may be 64 times as long",
        "engines/lmms_eval.py",
        "MAX_FLAG_LENGTH = 8192",
        "MAX_FLAG_LENGTH = 64 * 8192",
        ("engines/test_lmms_eval.py::test_no_argument_is_longer_than_linux_allows",),
    ),
    Mutation(
        "a value with a space at its end is passed as it is",
        "engines/lmms_eval.py",
        " or text != text.strip()",
        "",
        ("engines/test_lmms_eval.py::test_leading_and_trailing_white_space_is_preserved",),
    ),
    Mutation(
        "one cancelled and one failed job exit as cancelled",
        "cli/waiting.py",
        'if "failed" in statuses:',
        'if statuses == {"failed"}:',
        ("cli/test_exit_codes.py::test_1_one_job_failed_and_another_was_cancelled",),
    ),
    Mutation(
        "429 exits as if the command line was wrong",
        "cli/failures.py",
        " and not error.temporary",
        "",
        ("cli/test_exit_codes.py::test_3_the_server_asks_to_retry_later",),
    ),
    Mutation(
        "a harness that is killed after its results fails the job",
        "attempts/result_checks.py",
        "end.reason is ExitReason.EXITED and end.exit_code in SIGNALS",
        "False",
        ("attempts/test_outcome.py::test_a_harness_that_dies_after_its_results_completes_the_job",),
    ),
    Mutation(
        "NaN is handed to JSON",
        "engines/metrics.py",
        "value if math.isfinite(value) else None",
        "value",
        ("engines/test_results.py::test_a_number_that_is_not_finite_is_null_and_named",),
    ),
    Mutation(
        "a job without a single number is completed",
        "attempts/result_checks.py",
        "if results.numbers_expected and not results.metrics:",
        "if False:",
        ("attempts/test_outcome.py::test_nan_alone_fails_the_job_and_is_named",),
    ),
    Mutation(
        "a kill that the kernel recorded is not looked at",
        "attempts/failures/classify.py",
        "    if end.out_of_memory is not None:\n",
        "    if False:\n",
        (
            "attempts/failures/test_classify.py::"
            "test_a_kill_recorded_by_the_kernel_wins_over_the_log",
        ),
    ),
    Mutation(
        "a text that an exception quotes decides why a job failed",
        "attempts/failures/sign.py",
        "else raised.name in QUOTING",
        "else False",
        ("attempts/failures/test_classify.py::test_texts_in_a_log_decide_nothing",),
    ),
    Mutation(
        "an error that was handled long before the end decides why a job failed",
        "attempts/failures/exceptions.py",
        "reader.lines_after_last > MAX_LINES_AFTER",
        "reader.lines_after_last > MAX_LINES",
        (
            "attempts/failures/test_classify.py::"
            "test_a_traceback_long_before_the_end_decides_nothing",
        ),
    ),
    Mutation(
        "doctor leaves its job in the queue when it is interrupted",
        "executors/slurm/hello_job.py",
        "            if _may_be_there(submitting):",
        "            if False:",
        ("cli/test_doctor_executors.py::test_an_interrupt_removes_the_job",),
    ),
    Mutation(
        "doctor believes that a node sees what the server writes",
        "executors/slurm/doctor.py",
        "    if hello.delay_s is None or hello.clock_ahead_s is None:",
        "    if False:",
        ("cli/test_doctor_executors.py::test_what_is_odd_about_a_node_is_reported",),
    ),
    Mutation(
        "a warm parent starts an attempt although a file has changed",
        "runner/warm/parent.py",
        "raise Refused(change)",
        "pass",
        ("runner/warm/test_parent.py::test_a_refusal_names_the_file",),
    ),
    Mutation(
        "a warm parent starts an attempt although it has a thread more",
        "runner/warm/parent.py",
        "if threads != self.num_threads:",
        "if threads < 0:",
        ("runner/warm/test_parent.py::test_a_parent_with_a_further_thread_refuses",),
    ),
    Mutation(
        "a forked runner shows the token of its attempt's harness",
        "runner/warm/parent.py",
        "self._identity.show_variables({})",
        "pass",
        ("runner/warm/test_parent.py::test_a_runner_does_not_show_the_token",),
    ),
    Mutation(
        "a generator of random numbers is the same in all forks of a warm parent",
        "runner/warm/randomness.py",
        "self._seed(generator)",
        "pass",
        (
            "runner/warm/test_in_place.py::"
            "test_a_generator_that_was_not_seeded_has_other_numbers_in_each_fork",
        ),
    ),
    Mutation(
        "the seed of the imports is lost in a fork",
        "runner/warm/randomness.py",
        "random.setstate(self._state)",
        "pass",
        ("runner/warm/test_in_place.py::test_random_numbers_are_as_the_imports_have_seeded_them",),
    ),
    Mutation(
        "a warm parent does not notice that a link leads elsewhere",
        "runner/warm/dependencies.py",
        "return list(found.values())",
        "return list(found)",
        ("runner/warm/test_parent.py::test_a_parent_refuses_when_a_link_leads_elsewhere",),
    ),
    Mutation(
        "a warm parent is used although a thread of the imports is missing in its forks",
        "runner/warm/loading.py",
        "    if others:",
        "    if False:",
        ("runner/warm/test_parent.py::test_a_parent_is_unusable_when_the_harness",),
    ),
    Mutation(
        "attempts with other variables share a warm parent",
        "executors/warm/key.py",
        "environment=frozenset(shared)",
        "environment=frozenset()",
        (
            "executors/warm/test_warm_starts.py::"
            "test_an_attempt_with_other_variables_has_another_parent",
        ),
    ),
    Mutation(
        "a warm parent outlives a change of evalserver's code",
        "executors/warm/key.py",
        "code=_code_digest(files.PROGRAM, plan.preload.parent)",
        'code=""',
        ("executors/warm/test_warm_starts.py::test_changed_code_of_evalserver_has_another_parent",),
    ),
    Mutation(
        "a harness is started warm in a version that was not tried",
        "executors/warm/tried.py",
        "if version in plan.versions:",
        "if True:",
        ("executors/warm/test_warm_starts.py::test_a_version_that_was_not_tried_is_started_cold",),
    ),
    Mutation(
        "warm parents outlive their server's end",
        "executors/warm/parents.py",
        "await asyncio.gather(*(parent.end() for parent in self._parents.values()))",
        "pass",
        ("executors/warm/test_parents.py::test_closing_ends_the_parents_also_one_that_is_loading",),
    ),
    Mutation(
        "a further attempt is started warm",
        "attempts/start_plan.py",
        "job.attempt > 1",
        "False",
        ("attempts/test_start_plan.py",),
    ),
    Mutation(
        "a harness of several processes is started warm",
        "attempts/start_plan.py",
        "if not engine.starts_one_process(job.request):",
        "if False:",
        ("attempts/test_start_plan.py",),
    ),
    Mutation(
        "a warm start is planned although a checkpoint is merged first",
        "attempts/start_plan.py",
        "    if has_stages:",
        "    if False:",
        ("attempts/test_start_plan.py",),
    ),
    Mutation(
        "a forked harness leaves out its end although it has files open",
        "runner/warm/ending.py",
        "and not any(map(_leads_outside, open_descriptors()))",
        "and True",
        (
            "runner/warm/test_in_place.py::test_objects_are_destroyed_only_where_that_may_have_an_effect",
        ),
    ),
    Mutation(
        "a forked harness keeps the descriptors of its runner",
        "runner/warm/harness_start.py",
        "in_place.close_descriptors({report})",
        "pass",
        ("runner/warm/test_in_place.py::test_a_forked_script_finds_what_a_new_one_does",),
    ),
    Mutation(
        "a job is not found by the end of its id",
        "store/search.py",
        "ids=(wanted.job_id, *ends)",
        "ids=(wanted.job_id,)",
        ("store/test_criteria.py::test_a_job_is_found_by_the_beginning_or_the_end_of_its_id",),
    ),
    Mutation(
        "the name of a checkpoint keeps its secrets in the filter of jobs",
        "store/submission.py",
        "return mask_text(model_title(",
        "return str(model_title(",
        ("store/test_criteria.py::test_a_secret_in_the_name_of_a_checkpoint_finds_no_job",),
    ),
    Mutation(
        "the newest of the selected jobs is the baseline",
        "web/pages/compare.py",
        "(steps[job.job_id] if has_steps else 0, job.seq)",
        "(steps[job.job_id] if has_steps else 0, -job.seq)",
        ("web/pages/test_comparing.py",),
    ),
    Mutation(
        "a series counts failed jobs",
        "store/trends.py",
        "sum(status = 'completed') AS jobs",
        "count(*) AS jobs",
        ("web/pages/test_trends.py::test_series_count_completed_jobs",),
    ),
    Mutation(
        "the exact test has one side",
        "analysis/mcnemar.py",
        "2 * _lower_tail(smaller, n)",
        "_lower_tail(smaller, n)",
        ("analysis/test_mcnemar.py",),
    ),
    Mutation(
        "documents of two harnesses are paired by their ids alone",
        "outputs/sample_pairs.py",
        "return _has_same_target(matching, row, found) and not questions.isdisjoint(others)",
        "return True",
        ("outputs/test_sample_pairs.py",),
    ),
    Mutation(
        "numbers of evaluations with other limits share a column",
        "web/api/leaderboard_entries.py",
        "Settings(job.engine, job.limit, masked(job.harness_args))",
        "Settings(job.engine, None, masked(job.harness_args))",
        ("web/api/test_leaderboard.py",),
    ),
    Mutation(
        "p-values are not adjusted for the number of metrics",
        "analysis/holm.py",
        "(len(p_values) - rank) * p_values[index]",
        "p_values[index]",
        ("analysis/test_holm.py",),
    ),
    Mutation(
        "an improvement is named as a regression",
        "analysis/holm.py",
        "else not difference.improved",
        "else True",
        ("analysis/test_holm.py::test_an_improvement_is_no_regression",),
    ),
    Mutation(
        "documents of a cluster are taken as independent",
        "analysis/comparison.py",
        "        return named\n",
        "        pass\n",
        ("analysis/test_comparison.py",),
    ),
    Mutation(
        "clusters that one of the jobs names are ignored",
        "web/api/compared_jobs.py",
        "{**pair[1].clusters[baseline.filter], **pair[0].clusters[baseline.filter]}",
        "{**pair[0].clusters[baseline.filter]}",
        ("web/api/test_compare.py",),
    ),
    Mutation(
        "a gate passes what it cannot decide",
        "analysis/gate.py",
        "if damage.high > margin:",
        "if damage.value > margin:",
        ("analysis/test_gate.py",),
    ),
    Mutation(
        "without a critical metric it is a go",
        "analysis/gate.py",
        "    if not critical:\n",
        "    if False:\n",
        ("analysis/test_gate.py",),
    ),
    Mutation(
        "without pairs a gate passes",
        "analysis/gate.py",
        "if damage.is_paired or self.rule.allow_unpaired:",
        "if True:",
        ("analysis/test_gate.py",),
    ),
    Mutation(
        "few documents that changed have a narrow interval",
        "analysis/score_interval.py",
        "    if better == 0:\n",
        "    if False:\n",
        ("analysis/test_score_interval.py",),
    ),
    Mutation(
        "the gate of a series judges a result twice",
        "store/gate_verdicts.py",
        "        if rows:\n            return _kept(rows[0])\n",
        "",
        ("store/test_gates.py",),
    ),
    Mutation(
        "an erased baseline's numbers stay in verdicts",
        "store/gate_verdicts.py",
        "SET report = NULL",
        "SET report = report",
        ("store/test_gates.py",),
    ),
    Mutation(
        "what a follower has not handled is archived",
        "store/archiving.py",
        '    if rows:\n        raise ArchiveFailed(\n            f"{archive.name} has events that',
        '    if False:\n        raise ArchiveFailed(\n            f"{archive.name} has events that',
        ("followers/test_follower.py",),
    ),
    Mutation(
        "a follower forgets an event whose handler fails",
        "followers/follower.py",
        "            await self._handle(event)\n",
        "            self._done = event.event_id\n            await self._handle(event)\n",
        ("followers/test_follower.py",),
    ),
    Mutation(
        "a webhook's message does not wait for an earlier one of its job",
        "store/webhook_messages.py",
        "EXISTS (SELECT 1 FROM webhook_messages WHERE {OF_JOB})",
        "0",
        ("followers/test_webhooks.py",),
    ),
    Mutation(
        "webhooks are sent to private addresses behind names",
        "followers/webhooks/addresses.py",
        "            if self.allows(address)\n",
        "",
        ("followers/test_webhooks.py",),
    ),
    Mutation(
        "webhooks are sent to IPv4 addresses within IPv6 ones",
        "followers/webhooks/addresses.py",
        "reached = [found, *_embedded(found)]",
        "reached = [found]",
        ("followers/test_sending.py",),
    ),
)
