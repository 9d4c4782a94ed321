"""Signs of what a request, its model, its data sets and their hosts are to blame for."""

from evalserver.attempts.failures.sign import Sign

HTTP_ERROR = "HfHubHTTPError OSError HTTPError HTTPStatusError"

HUB_SIGNS = (
    # A gated repository before one that is not found: some errors speak of both.
    Sign("hub_gated", "GatedRepoError"),
    Sign(
        "hub_gated",
        patterns=r"""
            Cannot access gated repo
            trying to access a gated repo
            is a gated dataset on the Hub
        """,
    ),
    Sign("hub_authentication", patterns="Invalid credentials in Authorization header"),
    Sign(
        "hub_rate_limit",
        HTTP_ERROR,
        r"(?s)\b429 .{0,200}(?:/api/|/resolve/|/datasets/|huggingface)",
    ),
    Sign(
        "hub_not_found",
        "RepositoryNotFoundError RevisionNotFoundError RemoteEntryNotFoundError"
        " EntryNotFoundError DatasetNotFoundError",
    ),
    Sign(
        "checkpoint_missing",
        patterns=r"Repo id must be in the form .{0,80}: '(?P<path>/[^']{1,200})'",
        says="There is no directory {path}.",
    ),
    Sign("hub_not_found", "OSError ValueError", "not a valid model identifier listed"),
    Sign("hub_unreachable", "LocalEntryNotFoundError OfflineModeIsEnabled"),
    Sign(
        "hub_unreachable",
        "OSError ConnectionError HfHubHTTPError",
        r"""
            We couldn't connect to '
            Couldn't reach .{1,300} on the Hub
            (?s)Server error '5\d\d.{0,200}(?:/api/|/resolve/|huggingface)
        """,
    ),
    Sign("dataset_script", "RuntimeError", "Dataset scripts are no longer supported"),
    Sign("code_not_confirmed", "ValueError", "contains custom code which must be executed"),
    Sign("code_not_confirmed", "ValueError", r"marked as unsafe\. Set confirm_run_unsafe_code"),
    Sign(
        "code_not_confirmed",
        "ValueError",
        "executes untrusted model-generated code",
        "Its metric also wants HF_ALLOW_CODE_EVAL=1 in the engine's environment.",
        "evaluate 0.4.6, metrics/code_eval/code_eval.py, which it loads from the Hub",
    ),
)

REQUEST_SIGNS = (
    # Keys before APIs: a harness without its key has asked nobody yet.
    Sign("missing_key", "OpenAIError", "Missing credentials|api_key client option must be set"),
    Sign(
        "missing_key",
        patterns=r"(?s)Unable to initialise .{1,80}No (?:\[\w+\])*(?P<name>[A-Z0-9_]{1,60})",
        says="{name} is not set.",
    ),
    Sign("missing_key", "ValueError", "API key not found"),
    Sign(
        "missing_key",
        patterns=r"""
            \b(?P<name>[A-Z][A-Z0-9_]{1,60}_(?:KEY|TOKEN|ENDPOINT)) (?:environment variable )?(?:is )?(?:not set|required)
            (?:API key|credentials) not configured
            API key is required
        """,  # noqa: E501 - a pattern
        source="lmms-eval 0.7.3, lmms_eval/llm_judge/providers/, tasks/kris_bench/utils.py,"
        " tasks/live_bench/utils_v2.py, tasks/gedit_bench/viescore/openai_backend.py",
    ),
    Sign(
        "missing_package",
        "ModuleNotFoundError ImportError",
        r"No module named '(?P<module>[^']{1,100})'",
        says="{module} is not installed there.",
    ),
    Sign(
        "missing_package",
        patterns=r"""
            requires optional dependencies
            \bpackage `[^`]{1,60}` is not installed
            seem to be installed
            : No module named \S{1,100}$
            requires at least version .{1,30} of package
        """,
    ),
    Sign(
        "missing_package",
        "ImportError OSError",
        r"""
            cannot import name
            undefined symbol
            cannot open shared object file
            but it was not found in your environment
            requires the following packages
        """,
        "A package there is missing, or of another version than the harness needs.",
    ),
    Sign("unknown_task", patterns=r"Tasks not found:|there is no task '"),
    Sign(
        "unknown_model",
        patterns=r"""
            but no model for this name found
            not found in available models
            Model API for .{1,100} not recognized
            Model name .{1,100} not recognized
        """,
    ),
    Sign(
        "unsupported_model",
        "ValueError",
        r"""
            Transformers does not recognize this architecture
            Unrecognized configuration class
            Model architectures .{1,200} are not supported
        """,
    ),
    Sign(
        "checkpoint_invalid",
        patterns=r"""
            Error no file named
            Should have a `model_type` key
            is not a valid JSON file
            Error\(s\) in loading state_dict
            [Cc]ouldn't instantiate the backend tokenizer
        """,
    ),
    Sign("checkpoint_invalid", "SafetensorError UnpicklingError"),
    Sign(
        "context_length",
        patterns=r"""
            maximum context length
            context_length_exceeded
            longer than the maximum model length
        """,
    ),
    Sign(
        "task_error",
        "TypeError",
        r"TaskConfig.{0,20} got an unexpected keyword argument '(?P<name>[^']{1,100})'",
        "The task's file has the key {name}, which this version of the harness does not know.",
    ),
    Sign(
        "invalid_arguments",
        "TypeError",
        r"unexpected keyword argument '(?P<name>[^']{1,100})'",
        "It does not take {name}.",
    ),
    Sign(
        "invalid_arguments",
        patterns=r"""
            gen_kwargs has no\s
            error: unrecognized arguments
            ^unrecognized arguments
        """,
    ),
    Sign(
        "dataset_invalid",
        patterns=r"Unable to find '.{1,300}'",
    ),
    Sign(
        "task_error",
        "ScannerError ParserError ComposerError ConstructorError",
        r"""(?s)in "(?P<file>/[^"]{1,300})", line (?P<line>\d{1,9})""",
        "{file}, line {line} is no valid YAML.",
    ),
    Sign(
        "task_error",
        "UndefinedError TemplateSyntaxError TemplateAssertionError",
        r"(?P<why>[^\n]{1,400})",
        "A template of the task, such as doc_to_text, failed: {why}.",
    ),
)

PROVIDER_SIGNS = (
    Sign("provider_quota", patterns="insufficient_quota|exceeded your current quota"),
    Sign("provider_authentication", "AuthenticationError PermissionDeniedError"),
    Sign("provider_rate_limit", "RateLimitError"),
    Sign(
        "provider_authentication",
        patterns=r"(?i)\bcode: 40[13]\b|\b40[13] client error|[( ]40[13] unauthorized",
    ),
    Sign("provider_rate_limit", patterns=r"(?i)\bcode: 429\b|\b429 client error"),
    Sign("provider_model", "NotFoundError"),
    Sign("provider_model", patterns=r"(?i)\bcode: 404\b|\b404 client error"),
    Sign("provider_unreachable", "APIConnectionError APITimeoutError ConnectError ReadTimeout"),
    Sign(
        "provider_unreachable",
        patterns=r"""
            (?i)connection error\.?$
            (?i)max retries exceeded with url
            (?i)cannot connect to host
            (?i)connection refused
            (?i)request timed out
        """,
    ),
    Sign("provider_error", "InternalServerError BadRequestError ClientResponseError"),
    Sign(
        "provider_error",
        patterns=r"(?i)\bcode: [45]\d\d\b|\b[45]\d\d (?:client|server) error",
    ),
)
