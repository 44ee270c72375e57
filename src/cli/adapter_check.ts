/**
 * Prints through which backend WebGPU finds an adapter, such as `vulkan`, and exits with 1 where it finds none. The start
 * script asks this before anything else is loaded, so it imports little.
 *
 * @module
 */
import { findAdapter } from "../gpu/backend.ts";
import { print } from "./print.ts";

const found = await findAdapter("auto");
if (found) print(found.backend);
else Deno.exitCode = 1;
