// What every page does: tells times, listens to the server, asks before it acts, copies.
import { keepTimes } from "./times.js";
import { listen } from "./live.js";
import { askFirst, copyOnClick, chooseToCompare } from "./actions.js";
import { sendDeeds } from "./deeds.js";
import { followLog } from "./log.js";

keepTimes();
askFirst();
copyOnClick();
chooseToCompare();
sendDeeds();
listen();
const log = document.querySelector("[data-log]");
if (log) followLog(log);
