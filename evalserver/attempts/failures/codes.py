"""The codes of failures, and what to do about each."""

from types import MappingProxyType

CODES = MappingProxyType(
    {
        # Decided by how the attempt ended.
        "time_limit": "The evaluation was stopped at its time limit. Set a larger timeout_s,"
        " or make the job smaller with limit or fewer tasks; the server's --default-timeout"
        " and --max-timeout bound it.",
        "stalled": "The evaluation wrote nothing and used no GPU for a long time, and was stopped"
        " for that. Look at the end of the log for what it waited for: a lock, a download, an API,"
        " another process. If it only takes its time, set a larger stall_after_s, or on_stall to"
        " warn.",
        "lost": "The process that supervised the evaluation ended without a word: the machine"
        " was restarted, or somebody or the kernel killed it. Submit with a larger"
        " max_attempts to have such jobs run again by themselves, or retry this one.",
        "not_started": "The program could not be started. Check engine_python, or python in"
        " the engine's table, and that this user may run it; evalserver doctor tries every"
        " engine.",
        # Decided by a cluster.
        "cluster_time_limit": "The cluster ended the job at a limit of its own. Set a timeout_s"
        " that is within the limits of its partition, or give the executor another partition.",
        "cluster_cancelled": "Somebody cancelled the job on the cluster, not through evalserver."
        " Ask who administers it, and retry the job.",
        "cluster_not_started": "The cluster ended the job before its runner could start. Read"
        " slurm.log in the run directory: often a node does not see run_root, or has no Python"
        " under the path in python of the executor's table. evalserver doctor tries both.",
        "node_failed": "The node of the cluster failed or could not be reached any more. Submit"
        " with a larger max_attempts to have such jobs run again by themselves, or retry this one.",
        "preempted": "The cluster needed the place for a job that comes first. Submit with a larger"
        " max_attempts, or give the executor a partition or qos that is not preempted.",
        "checkpoint_missing": "The checkpoint that the request names is not there, or not"
        " complete. Check its path in model or model_args, and set wait_for_path_s if a"
        " trainer is still writing it.",
        "not_allowed": "The request names a path that this server does not allow, as its"
        " settings are now: --allow-path for output and checkpoints, --task-path for task"
        " files.",
        "unreadable_files": "What the evaluation left cannot be read. Check the disk of the"
        " job's output directory, and retry the job when it answers.",
        "server_error": "evalserver itself failed, not the evaluation. Retry the job, and"
        " report the error together with the server's log.",
        # Memory and disk.
        "gpu_out_of_memory": "The GPU has too little free memory. Lower batch_size, give the"
        " model more GPUs (num_gpus, device_map or tensor_parallel_size in model_args) or a"
        " smaller dtype, and look with nvidia-smi whether another program holds memory.",
        "host_out_of_memory": "The machine, or the limit of its container or service, has too"
        " little memory. Lower batch_size or the number of workers, raise the limit"
        " (--memory-per-job, MemoryMax, docker --memory), or run fewer jobs beside it.",
        "shared_memory": "The file system /dev/shm is too small"
        " for what the processes of the harness share."
        " Start the container with a larger --shm-size or with --ipc=host, or use fewer"
        " workers.",
        "disk_full": "A disk is full. Make room on that of the output, of the cache (HF_HOME)"
        " or of TMPDIR, whichever the error names, lower --max-completed-jobs, and retry.",
        "disk_quota": "The disk quota of this user is used up. Remove files or ask for more,"
        " or move HF_HOME, TMPDIR or --data-dir to another file system.",
        "too_many_open_files": "The harness had too many files open. Raise the limit of the"
        " service that runs evalserver (LimitNOFILE, ulimit -n), or use fewer workers.",
        # GPUs and processes that work together.
        "gpu_unavailable": "The harness found no usable GPU. Check nvidia-smi,"
        " CUDA_VISIBLE_DEVICES, that the container was given GPUs, and that torch was built"
        " for this driver; or set device to cpu.",
        "gpu_error": "The GPU or its driver reported an error. If it comes again on other"
        " GPUs, the model or its kernels are at fault: run once with CUDA_LAUNCH_BLOCKING=1;"
        " if only on this one, look for Xid errors in the kernel's log and reset the GPU.",
        "distributed_timeout": "Processes that work together waited too long for each other:"
        " one died, hangs, or has much more to do. Look in the log for the first process that"
        " failed; NCCL_DEBUG=INFO in the engine's environment says more.",
        "port_in_use": "Another program has the network port that the processes wanted to meet"
        " at. accelerate is given a free one; if this port is set in model_args, in MASTER_PORT of"
        " the engine's environment or by the model itself, choose another, and retry.",
        # The Hub and data sets.
        "hub_gated": "The repository on the Hub is gated. Accept its terms with the account"
        " whose token the harness has, and give the server HF_TOKEN of that account"
        " (--engine-env HF_TOKEN, or the engine's environment).",
        "hub_authentication": "The Hub rejected the token. Renew HF_TOKEN in the server's"
        " environment, or remove it for what is public.",
        "hub_not_found": "There is no such model, data set, file or revision on the Hub, or"
        " the token may not see it. Check the spelling of model, of pretrained in model_args"
        " and of the task's dataset_path; a private repository needs HF_TOKEN.",
        "hub_rate_limit": "The Hub refuses further requests for now. Wait some minutes and"
        " retry; HF_TOKEN raises the limit, and a shared HF_HOME avoids most requests.",
        "hub_unreachable": "The Hub cannot be reached, or the harness is told to stay offline,"
        " and the files are not in its cache. Check network, proxy and HF_ENDPOINT, or"
        " download once into HF_HOME; unset HF_HUB_OFFLINE if it is not meant.",
        "dataset_script": "The data set is a Python script, which this version of datasets"
        " does not run. Use a copy of it in Parquet (many have a branch refs/convert/parquet),"
        " or an older datasets in the harness's environment.",
        "dataset_invalid": "The data set could not be read as the task describes it. Check"
        " dataset_path, dataset_name, splits and data_files of the task, and remove a damaged"
        " copy from HF_HOME.",
        # What was asked for.
        "code_not_confirmed": "The task or the model runs code of its own, which has to be"
        " confirmed. If the operator trusts it, the engine's table may allow"
        " confirm_run_unsafe_code or trust_remote_code in harness_args; trust_remote_code of a"
        " model goes into model_args.",
        "missing_key": "A key or an address that the model or the task's judge needs is not"
        " set. Give the variable to the server and pass it on with --engine-env, or name a set"
        " of variables with env_profile; evalserver doctor lists which are set.",
        "missing_package": "A package is missing from the harness's environment, or is another"
        " version than it needs. Install it with the engine's own interpreter (python in the"
        " engine's table).",
        "unknown_task": "The harness does not know the task. See evalserver tasks, check the"
        " spelling and --include-path, and evalserver catalog refresh after files have changed.",
        "unknown_model": "The harness does not know this type of model. See evalserver models;"
        " a checkpoint goes into model_args as pretrained, not into model.",
        "unsupported_model": "This version of transformers or vLLM does not know the model's"
        " architecture. Upgrade it in the harness's environment, or, where the checkpoint"
        " brings its own code, set trust_remote_code in model_args.",
        "invalid_arguments": "The harness rejected an argument of the request. The error names"
        " it: check model_args, gen_kwargs and harness_args against what this model accepts.",
        "checkpoint_invalid": "The checkpoint cannot be loaded: a file is missing, damaged,"
        " still being written, or of another architecture. Look at the file that the error"
        " names, and set wait_for_path_s if a trainer writes it.",
        "context_length": "A prompt is longer than the model's context. Lower num_fewshot or"
        " the number of tokens to generate (max_gen_toks, max_tokens in gen_kwargs), or raise"
        " max_length or max_model_len in model_args.",
        # A model behind an API, also that of a judge.
        "provider_authentication": "The API rejected its key, or the key may not use this"
        " model. Check the key in the server's environment or env_profile, and base_url in"
        " model_args.",
        "provider_quota": "The account at the API has no credit left. Raise its limit, or use"
        " another key through env_profile, and retry: responses of before are kept if"
        " use_cache is set.",
        "provider_rate_limit": "The API refuses further requests for now. Lower batch_size or"
        " num_concurrent in model_args, raise the number of retries, or retry the job later.",
        "provider_model": "The API has no model of this name, or no such path. Check the"
        " model's name and base_url in model_args.",
        "provider_unreachable": "The API cannot be reached, or did not answer in time. Check"
        " that it runs, base_url in model_args, network and proxy, and retry.",
        "provider_error": "The API failed, or rejected the request. The error has its answer;"
        " if it is a fault of the API, retry the job later.",
        "failed_requests": "More requests to the model failed than are allowed, so that its"
        " numbers would mean nothing. The error has an example; --max-failed-requests is the"
        " allowed share.",
        # The rest.
        "task_error": "The task's own code or file raised the error. Mend it there, and retry"
        " the job.",
        "no_results": "The harness ended as if all were well, but left no numbers. Its log"
        " says more: evalserver logs JOB.",
        "merge_failed": "The shards of the checkpoint could not be merged. Check model_path"
        " and checkpoint_type in lmms_engine_kwargs, and read the log: evalserver logs JOB.",
        "killed": "Somebody ended the harness with a signal, not evalserver. Ask who else"
        " works on this machine, and retry the job.",
        "crashed": "Native code of the harness crashed. Look for the library that the last"
        " lines of the log name: often it was built for another version of torch, CUDA, or"
        " processor.",
        "harness_error": "The harness ended with an error that evalserver has no advice for."
        " Read the last frames of the traceback, and the log: evalserver logs JOB.",
    }
)
"""What each code advises: what it means, and what to do next."""
