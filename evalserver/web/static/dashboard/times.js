// Times as distances from now; the words are those of words.py.
const EVERY_MS = 5000;

export function keepTimes() {
  setInterval(tell, EVERY_MS);
}

export function tell() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const words = distance((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== words) time.textContent = words;
  }
}

export function distance(seconds) {
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 2 * 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}
