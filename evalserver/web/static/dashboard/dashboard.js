// The entry point of every page.
import { updateTimes } from "./times.js";
import { listen } from "./live.js";
import { confirmActions, copyOnClick, enableCompareButton } from "./actions.js";
import { submitCommands } from "./commands.js";
import { followLog } from "./log.js";
import { clearFilterProblems } from "./filters.js";
import { offerThemes } from "./themes.js";
import { focusSearchOnSlash } from "./shortcuts.js";

updateTimes();
confirmActions();
copyOnClick();
enableCompareButton();
submitCommands();
clearFilterProblems();
offerThemes();
focusSearchOnSlash();
listen();
const log = document.querySelector("[data-log]");
if (log) followLog(log);
