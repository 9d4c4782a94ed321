// Deeds: each is asked about before, and what the server says against it is shown.
import { refresh } from "./live.js";

const NOTICE_MS = 8000;
const COPIED_MS = 1500;

export function askFirst() {
  document.body.addEventListener("htmx:confirm", (event) => {
    event.preventDefault();
    const button = event.target;
    const danger = button.classList.contains("danger");
    ask(event.detail.ctx.confirm, { ...button.dataset, danger }).then((yes) =>
      yes ? event.detail.issueRequest() : event.detail.dropRequest(),
    );
  });
  document.body.addEventListener("htmx:before:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.request.method === "GET") return;
    // The API takes JSON, or no body at all, and refuses what htmx would send for a form.
    const body = ctx.sourceElement.dataset.body;
    ctx.request.body = body || null;
    if (body) ctx.request.headers["Content-Type"] = "application/json";
    else delete ctx.request.headers["Content-Type"];
  });
  document.body.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.request.method !== "GET" && ctx.response?.raw.ok) {
      tellAnswer(ctx);
      refresh();
    }
  });
  document.body.addEventListener("htmx:response:error", (event) => {
    const { ctx } = event.detail;
    if (ctx.request.method !== "GET") tellAnswer(ctx);
  });
  document.body.addEventListener("htmx:error", (event) => {
    const method = event.detail.ctx?.request?.method;
    if (method && method !== "GET") notice("The server cannot be reached, so nothing was changed.");
  });
}

export function copyOnClick() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const words = button.textContent;
    const text = button.parentElement.querySelector("pre").textContent;
    button.textContent = (await copied(text)) ? "Copied" : "Select and copy by hand";
    setTimeout(() => (button.textContent = words), COPIED_MS);
  });
}

export function chooseToCompare() {
  const button = () => document.getElementById("compare");
  const update = () => {
    const ticked = document.querySelectorAll('input[name="job"]:checked').length;
    const here = button();
    if (here) {
      here.disabled = ticked < 2 || ticked > 10;
      here.textContent = ticked > 1 ? `Compare ${ticked} jobs` : "Compare";
    }
  };
  document.addEventListener("change", (event) => event.target.name === "job" && update());
  document.body.addEventListener("htmx:after:swap", update);
  window.addEventListener("pageshow", update);
  update();
}

export function notice(words) {
  const place = document.getElementById("notices");
  const shown = document.createElement("p");
  shown.className = "notice";
  shown.textContent = words;
  place.append(shown);
  setTimeout(() => shown.remove(), NOTICE_MS);
}

function tellAnswer(ctx) {
  let said = {};
  try {
    said = JSON.parse(ctx.text);
  } catch {
    // Not JSON: somebody between has answered.
  }
  const made = said.path && `The backup is ${said.path}`;
  notice(said.message || said.detail || made || `The server answered ${ctx.response.raw.status}.`);
}

export function ask(question, { detail = "", yes: words = "Do it", danger = false }) {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-question").textContent = question;
  document.getElementById("confirm-detail").textContent = detail;
  const yes = document.getElementById("confirm-yes");
  yes.textContent = words;
  yes.classList.toggle("danger", danger);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Browsers allow it only on this machine and behind TLS.
    return false;
  }
}
