// Keeps the page up to date from one server-sent event stream. Progress is written in place; for
// every other event the affected parts of the page are fetched again.
const RECONNECT_MS = 2000;
const DEBOUNCE_MS = 250;
// Browsers allow six connections to a server, so hidden tabs close theirs.
const PAUSE_MS = 15000;

const LABELS = {
  on: "Live",
  cut: "Connection lost, reconnecting",
  paused: "Paused while hidden",
  off: "Not live",
};

const ALL_JOBS = "all jobs";
const changed = new Set();

let source = null;
let reconnectTimer = 0;
let refreshTimer = 0;
let pauseTimer = 0;
let wasOpen = false;

export function listen() {
  document.addEventListener("visibilitychange", () => {
    clearTimeout(pauseTimer);
    if (document.hidden) pauseTimer = setTimeout(pause, PAUSE_MS);
    else if (!source) open();
  });
  // Leaving the page must not show "connection lost".
  window.addEventListener("pagehide", pause);
  window.addEventListener("pageshow", (event) => event.persisted && open());
  open();
}

// Refresh the parts that show this job, or all parts. Events in quick succession cause one refresh.
export function refresh(jobId = ALL_JOBS) {
  changed.add(jobId);
  clearTimeout(refreshTimer);
  refreshTimer = setTimeout(() => {
    for (const part of document.querySelectorAll("[data-refresh]")) {
      const { of } = part.dataset;
      if (!of || changed.has(of) || changed.has(ALL_JOBS)) fetchPart(part);
    }
    changed.clear();
  }, DEBOUNCE_MS);
}

function fetchPart(part) {
  if (part.dataset.here !== undefined) part.setAttribute("hx-get", location.pathname + location.search);
  htmx.trigger(part, "refresh");
}

function open() {
  clearTimeout(reconnectTimer);
  close();
  source = new EventSource("/events");
  source.onopen = () => {
    showState("on");
    // The stream repeats missed events, but not progress and times.
    if (wasOpen) refresh();
    wasOpen = true;
  };
  source.onerror = () => {
    showState("cut");
    // Browsers reconnect by themselves after a lost connection, but not after an error response.
    if (source.readyState === EventSource.CLOSED) reconnectTimer = setTimeout(open, RECONNECT_MS);
  };
  source.addEventListener("progress", (event) => showProgress(JSON.parse(event.data)));
  source.addEventListener("status", (event) => {
    const change = JSON.parse(event.data);
    document.dispatchEvent(new CustomEvent("job", { detail: change }));
    refresh(change.job_id);
  });
}

function close() {
  if (source) source.close();
  source = null;
}

function pause() {
  clearTimeout(reconnectTimer);
  close();
  showState("paused");
}

function showState(state) {
  const live = document.getElementById("live");
  if (live.dataset.state === state) return;
  live.dataset.state = state;
  live.querySelector(".state").textContent = LABELS[state];
}

function showProgress(progress) {
  for (const element of document.querySelectorAll(`[data-progress="${CSS.escape(progress.job_id)}"]`)) {
    element.querySelector(".stage").textContent = progress.stage;
    element.querySelector(".count").textContent = progress.total ? `${progress.done} of ${progress.total}` : "";
    const hasFraction = progress.fraction !== null;
    element.querySelector(".percent").textContent = hasFraction ? `${Math.floor(progress.fraction * 100)} %` : "";
    const bar = element.querySelector("progress");
    if (hasFraction) bar.value = progress.fraction;
    else bar.removeAttribute("value");
  }
}
