/* A libnvidia-ml.so.1 without GPUs: its answers come from the file that STUB_NVML_STATE names, which
 * is read anew at each call. Its lines, in any order (see state.py, which writes them):
 *
 *     init CODE                   what nvmlInit returns
 *     old                         an old driver: the second version of the memory info is missing
 *     gpu FAULT TOTAL USED UTILIZATION TEMPERATURE UUID NAME...   the next GPU; FAULT is what its
 *                                 functions return, DELAY milliseconds later
 *     delay GPU MILLISECONDS
 *     process GPU PID BYTES
 *
 * No headers, so that a compiler alone is enough.
 */

typedef unsigned long size_type;
typedef unsigned long long u64;
typedef struct FILE_ FILE;
extern char *getenv(const char *name);
extern FILE *fopen(const char *path, const char *mode);
extern char *fgets(char *line, int size, FILE *file);
extern int fclose(FILE *file);
extern int sscanf(const char *text, const char *format, ...);
extern int snprintf(char *text, size_type size, const char *format, ...);
extern int strcmp(const char *one, const char *other);
extern int usleep(unsigned microseconds);

enum { SUCCESS, UNINITIALIZED, INVALID, NOT_SUPPORTED, NOT_FOUND = 6, TOO_SMALL, FUNCTION_NOT_FOUND = 13 };
enum { MAX_GPUS = 16, MAX_PROCESSES = 64 };

struct gpu { int fault; unsigned delay; u64 total, used; int utilization, temperature; char uuid[96], name[96]; };
struct process { int gpu; unsigned pid; u64 used; };
struct state { int init, old, gpus, processes; struct gpu gpu[MAX_GPUS]; struct process process[MAX_PROCESSES]; };
struct memory { u64 total, free, used; };
struct memory_v2 { unsigned version; u64 total, reserved, free, used; };
struct rates { unsigned gpu, memory; };
struct process_info { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; };

static struct state load(void)
{
    struct state s = {0};
    char line[512];
    const char *path = getenv("STUB_NVML_STATE");
    FILE *file = path ? fopen(path, "r") : 0;
    int gpu;
    unsigned delay;
    if (!file) {
        /* The driver is not loaded; without a name, the library is as good as missing: a process
           that has loaded it for a test runs other tests, too. */
        s.init = path ? 9 : 12;
        return s;
    }
    while (fgets(line, sizeof line, file)) {
        struct gpu *g = &s.gpu[s.gpus];
        struct process *p = &s.process[s.processes];
        if (sscanf(line, "gpu %d %llu %llu %d %d %95s %95[^\n]", &g->fault, &g->total, &g->used,
                   &g->utilization, &g->temperature, g->uuid, g->name) == 7 && s.gpus < MAX_GPUS - 1)
            s.gpus++;
        else if (sscanf(line, "process %d %u %llu", &p->gpu, &p->pid, &p->used) == 3 && s.processes < MAX_PROCESSES - 1)
            s.processes++;
        else if (sscanf(line, "delay %d %u", &gpu, &delay) == 2 && gpu < MAX_GPUS)
            s.gpu[gpu].delay = delay;
        else if (line[0] == 'o')
            s.old = 1;
        else
            sscanf(line, "init %d", &s.init);
    }
    fclose(file);
    return s;
}

/* A handle is the number of the GPU, from 1. */
static int open_gpu(void *handle, struct state *s, struct gpu *g)
{
    int index = (int)(size_type)handle - 1;
    *s = load();
    if (index < 0 || index >= s->gpus)
        return INVALID;
    *g = s->gpu[index];
    usleep(g->delay * 1000);
    return g->fault;
}

int nvmlInitWithFlags(unsigned flags) { return load().init; }
int nvmlShutdown(void) { return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = load().gpus; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle)
{
    struct state s = load();
    if (index >= (unsigned)s.gpus)
        return INVALID;
    *handle = (void *)(size_type)(index + 1);
    return s.gpu[index].fault;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle)
{
    struct state s = load();
    int i;
    for (i = 0; i < s.gpus; i++)
        if (!strcmp(s.gpu[i].uuid, uuid)) {
            *handle = (void *)(size_type)(i + 1);
            return s.gpu[i].fault;
        }
    return NOT_FOUND;
}

int nvmlDeviceGetUUID(void *handle, char *text, unsigned size)
{
    struct state s; struct gpu g; int code = open_gpu(handle, &s, &g);
    snprintf(text, size, "%s", g.uuid);
    return code;
}

int nvmlDeviceGetName(void *handle, char *text, unsigned size)
{
    struct state s; struct gpu g; int code = open_gpu(handle, &s, &g);
    snprintf(text, size, "%s", g.name);
    return code;
}

int nvmlDeviceGetMigMode(void *handle, unsigned *now, unsigned *pending) { return NOT_SUPPORTED; }

int nvmlDeviceGetMemoryInfo(void *handle, struct memory *m)
{
    struct state s; struct gpu g; int code = open_gpu(handle, &s, &g);
    m->total = g.total;
    m->used = g.used;
    return code;
}

int nvmlDeviceGetMemoryInfo_v2(void *handle, struct memory_v2 *m)
{
    struct state s; struct gpu g; int code = open_gpu(handle, &s, &g);
    if (s.old)
        return FUNCTION_NOT_FOUND;
    m->total = g.total;
    m->used = g.used;
    return code;
}

int nvmlDeviceGetUtilizationRates(void *handle, struct rates *r)
{
    struct state s; struct gpu g; int code = open_gpu(handle, &s, &g);
    if (code == SUCCESS && g.utilization < 0)
        return NOT_SUPPORTED;
    r->gpu = g.utilization;
    return code;
}

int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *degrees)
{
    struct state s; struct gpu g; int code = open_gpu(handle, &s, &g);
    *degrees = g.temperature;
    return code;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, struct process_info *found)
{
    struct state s; struct gpu g; int code = open_gpu(handle, &s, &g);
    unsigned room = *count, n = 0;
    int i;
    for (i = 0; code == SUCCESS && i < s.processes; i++)
        if (s.process[i].gpu == (int)(size_type)handle - 1) {
            if (found && n < room) {
                found[n].pid = s.process[i].pid;
                found[n].used = s.process[i].used;
            }
            n++;
        }
    *count = n;
    return code == SUCCESS && n > room ? TOO_SMALL : code;
}
