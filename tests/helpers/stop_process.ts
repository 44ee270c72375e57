/**
 * A command that never ends its step, to be stopped: it says on standard output once it listens, and once it was told.
 *
 * @module
 */
import { listenForStop } from "../../src/cli/stop.ts";

const signal = listenForStop();
signal.addEventListener("abort", () => console.log(`told: ${signal.reason.message}`));
console.log("listening");
setInterval(() => {}, 1000);
