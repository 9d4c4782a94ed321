// A job's log as it grows: follows its end, stays where a reader has scrolled to, finds tracebacks.
const TAIL = 2000;
const MOST_LINES = 6000;
const AGAIN_MS = 2000;
const NEAR_PX = 24;
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
    this.rest = "";
    this.traceback = null;
    this.over = false;
    this.stop = null;
    pre.addEventListener("scroll", () => this.scrolled());
    this.toEnd.addEventListener("click", () => this.follow());
    this.toTraceback.addEventListener("click", () => this.showTraceback());
    // A further attempt has a log of its own; and hidden tabs give their connection back.
    document.addEventListener("job", (event) => {
      const ours = pre.dataset.log.includes(event.detail.job_id);
      if (ours && event.detail.event === "claimed") this.again();
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.stop?.abort();
      else if (!this.over) this.again();
    });
  }

  async read() {
    this.stop = new AbortController();
    const { signal } = this.stop;
    try {
      const answer = await fetch(`${this.pre.dataset.log}?follow=1&plain=1&tail=${TAIL}`, { signal });
      if (!answer.ok) {
        this.over = answer.status === 410 || answer.status === 404;
        const problem = await answer.json();
        throw new Error(problem.detail);
      }
      this.begin(answer.headers.get("Log-Offset"));
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        this.add(value);
      }
      this.add("\n");
      this.over = true;
      this.state.textContent = this.pre.childElementCount ? "The log is complete." : "The harness printed nothing.";
    } catch (error) {
      if (signal.aborted) return;
      this.state.textContent = this.over ? `${error.message}.` : "The log was cut off; trying again.";
      if (!this.over) setTimeout(() => !document.hidden && this.again(), AGAIN_MS);
    }
  }

  again() {
    this.stop?.abort();
    this.over = false;
    this.read();
  }

  begin(offset) {
    this.pre.replaceChildren();
    this.rest = "";
    this.traceback = null;
    this.toTraceback.hidden = true;
    const from = Number(offset) > 0 ? `The last ${TAIL} lines. ` : "";
    this.state.textContent = `${from}New lines are shown as they come.`;
  }

  add(text) {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop();
    if (!lines.length) return;
    const shown = document.createDocumentFragment();
    for (const line of lines) {
      const span = document.createElement("span");
      span.textContent = `${line}\n`;
      shown.append(span);
      if (!this.traceback && TRACEBACK.test(line)) {
        this.traceback = span;
        this.toTraceback.hidden = false;
      }
    }
    this.pre.append(shown);
    while (this.pre.childElementCount > MOST_LINES) this.pre.firstElementChild.remove();
    if (this.following) this.pre.scrollTop = this.pre.scrollHeight;
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.pre;
    this.following = scrollHeight - scrollTop - clientHeight < NEAR_PX;
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
    this.pre.scrollTop = this.traceback.offsetTop - this.pre.offsetTop - NEAR_PX;
    this.pre.focus();
  }
}
