// Follows a job's log: scrolls with its end until the reader scrolls up, and finds tracebacks.
const TAIL_LINES = 2000;
const MAX_LINES = 6000;
const RETRY_MS = 2000;
const MARGIN_PX = 24;
const TRACEBACK = /^\s*Traceback \(most recent call last\)/;

export function followLog(pre) {
  new Log(pre).read();
}

class Log {
  constructor(pre) {
    this.pre = pre;
    this.state = document.getElementById("log-state");
    this.toEnd = document.getElementById("log-end");
    this.toTraceback = document.getElementById("log-traceback");
    this.following = true;
    this.partialLine = "";
    this.traceback = null;
    this.isComplete = false;
    this.abortController = null;
    pre.addEventListener("scroll", () => this.onScroll());
    this.toEnd.addEventListener("click", () => this.follow());
    this.toTraceback.addEventListener("click", () => this.showTraceback());
    // Another attempt has a log of its own. Hidden tabs close their connection.
    document.addEventListener("job", (event) => {
      const isThisJob = pre.dataset.log.includes(event.detail.job_id);
      if (isThisJob && ["claimed", "handed_over"].includes(event.detail.event)) this.restart();
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.abortController?.abort();
      else if (!this.isComplete) this.restart();
    });
  }

  async read() {
    this.abortController = new AbortController();
    const { signal } = this.abortController;
    try {
      const response = await fetch(`${this.pre.dataset.log}?follow=1&plain=1&tail=${TAIL_LINES}`, { signal });
      if (!response.ok) {
        this.isComplete = response.status === 410 || response.status === 404;
        const problem = await response.json();
        throw new Error(problem.detail);
      }
      this.begin(response.headers.get("Log-Offset"));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        this.add(value);
      }
      if (this.partialLine) this.add("\n");
      this.isComplete = true;
      this.state.textContent = this.pre.childElementCount ? "The log is complete." : "The log is empty.";
    } catch (error) {
      if (signal.aborted) return;
      this.state.textContent = this.isComplete ? `${error.message}.` : "Connection lost; retrying.";
      if (!this.isComplete) setTimeout(() => !document.hidden && this.restart(), RETRY_MS);
    }
  }

  restart() {
    this.abortController?.abort();
    this.isComplete = false;
    this.read();
  }

  begin(offset) {
    this.pre.replaceChildren();
    this.partialLine = "";
    this.traceback = null;
    this.toTraceback.hidden = true;
    const omitted = Number(offset) > 0 ? `Last ${TAIL_LINES} lines. ` : "";
    this.state.textContent = `${omitted}Following new lines.`;
  }

  add(text) {
    const lines = (this.partialLine + text).split("\n");
    this.partialLine = lines.pop();
    if (!lines.length) return;
    const fragment = document.createDocumentFragment();
    for (const line of lines) {
      const span = document.createElement("span");
      span.textContent = `${line}\n`;
      fragment.append(span);
      if (!this.traceback && TRACEBACK.test(line)) {
        this.traceback = span;
        this.toTraceback.hidden = false;
      }
    }
    this.pre.append(fragment);
    while (this.pre.childElementCount > MAX_LINES) this.pre.firstElementChild.remove();
    if (this.following) this.pre.scrollTop = this.pre.scrollHeight;
  }

  onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.pre;
    this.following = scrollHeight - scrollTop - clientHeight < MARGIN_PX;
    this.toEnd.hidden = this.following;
  }

  follow() {
    this.following = true;
    this.pre.scrollTop = this.pre.scrollHeight;
    this.toEnd.hidden = true;
    this.pre.focus();
  }

  showTraceback() {
    this.following = false;
    for (const found of this.pre.querySelectorAll(".found")) found.classList.remove("found");
    this.traceback.classList.add("found");
    this.pre.scrollTop = this.traceback.offsetTop - this.pre.offsetTop - MARGIN_PX;
    this.pre.focus();
  }
}
