// A login link has the token in its fragment, which browsers do not send.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  document.getElementById("token").value = token;
  history.replaceState(null, "", location.pathname + location.search);
}
