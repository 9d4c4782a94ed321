// Applies the theme that was chosen in this browser. Not a module: it runs before the page is drawn,
// so that the page does not flash in another theme.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") || "system";
} catch {
  // The browser keeps nothing for this site.
}
