// Keeps relative times up to date; formatting.py formats them in the same way.
const INTERVAL_MS = 5000;

export function updateTimes() {
  setInterval(update, INTERVAL_MS);
}

export function update() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const text = distance((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}

export function distance(seconds) {
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 2 * 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}
