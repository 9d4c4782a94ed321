// One stream of the server's events keeps the page up to date. Progress is written in place; for
// all else the parts of the page that may differ now are fetched anew.
const AGAIN_MS = 2000;
const TOGETHER_MS = 250;
// Browsers allow six connections to a server: tabs that nobody looks at give theirs back.
const HIDDEN_MS = 15000;

const WORDS = {
  on: "Live",
  cut: "Connection lost, trying again",
  paused: "Paused while hidden",
  off: "Not live",
};

const EVERY = "every job";
const changed = new Set();

let source = null;
let again = 0;
let refreshing = 0;
let hiding = 0;
let wasOpen = false;

export function listen() {
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(pause, HIDDEN_MS);
    else if (!source) open();
  });
  // A page that is left must not say that the connection was lost.
  window.addEventListener("pagehide", pause);
  window.addEventListener("pageshow", (event) => event.persisted && open());
  open();
}

// Without a job, everything. Events that come together make one refresh.
export function refresh(jobId = EVERY) {
  changed.add(jobId);
  clearTimeout(refreshing);
  refreshing = setTimeout(() => {
    for (const part of document.querySelectorAll("[data-refresh]")) {
      const { of } = part.dataset;
      if (!of || changed.has(of) || changed.has(EVERY)) fetchAnew(part);
    }
    changed.clear();
  }, TOGETHER_MS);
}

function fetchAnew(part) {
  if (part.dataset.here !== undefined) part.setAttribute("hx-get", location.pathname + location.search);
  htmx.trigger(part, "refresh");
}

function open() {
  clearTimeout(again);
  close();
  source = new EventSource("/events");
  source.onopen = () => {
    say("on");
    // What happened while nobody listened is told by the stream, but progress and times are not.
    if (wasOpen) refresh();
    wasOpen = true;
  };
  source.onerror = () => {
    say("cut");
    // A browser comes back by itself after a cut, but not after an answer that was no stream.
    if (source.readyState === EventSource.CLOSED) again = setTimeout(open, AGAIN_MS);
  };
  source.addEventListener("progress", (event) => showProgress(JSON.parse(event.data)));
  source.addEventListener("status", (event) => {
    const told = JSON.parse(event.data);
    document.dispatchEvent(new CustomEvent("job", { detail: told }));
    refresh(told.job_id);
  });
}

function close() {
  if (source) source.close();
  source = null;
}

function pause() {
  clearTimeout(again);
  close();
  say("paused");
}

function say(state) {
  const live = document.getElementById("live");
  if (live.dataset.state === state) return;
  live.dataset.state = state;
  live.querySelector(".words").textContent = WORDS[state];
}

function showProgress(told) {
  for (const place of document.querySelectorAll(`[data-progress="${CSS.escape(told.job_id)}"]`)) {
    place.querySelector(".stage").textContent = told.stage;
    place.querySelector(".count").textContent = told.total ? `${told.done} of ${told.total}` : "";
    const known = told.fraction !== null;
    place.querySelector(".percent").textContent = known ? `${Math.floor(told.fraction * 100)} %` : "";
    const bar = place.querySelector("progress");
    if (known) bar.value = told.fraction;
    else bar.removeAttribute("value");
  }
}
