// The message about an invalid filter of the jobs page, which htmx shows, goes with the next request.
export function clearFilterProblems() {
  document.body.addEventListener("htmx:before:request", (event) => {
    const { id } = event.detail.ctx.sourceElement;
    if (id === "filters") document.getElementById("filter-problem").replaceChildren();
  });
}
