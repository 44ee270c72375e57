/**
 * Deno as winnow's host. `Deno` is named only inside functions, so that a browser can load this module, where it says
 * nothing.
 *
 * @module
 */
import { type Host, setHost } from "../api/host.ts";
import { escapeLine } from "../text/escape.ts";
import { openDenoBlockReader } from "./block_reader.ts";
import { cacheFolder } from "./cache_folder.ts";
import { denoFiles } from "./files.ts";
import { openDenoImageDecoder } from "./image_decoder.ts";
import { mnistPackageFolder } from "./mnist_package.ts";
import { subgroupProbe } from "./subgroups.ts";

/** Gives Vulkan the folder whose lack it would complain of on standard error, where this process may. */
function quietVulkan(): void {
  const variable = "XDG_RUNTIME_DIR";
  if (
    Deno.build.os !== "linux" || Deno.permissions.querySync({ name: "env", variable }).state !== "granted"
  ) return;
  if (!Deno.env.get(variable)) Deno.env.set(variable, "/tmp");
}

/** What Deno offers, as far as permissions allow it. */
export const denoHost: Host = {
  get runtime() {
    return `Deno ${Deno.version.deno}`;
  },
  get versions() {
    return { deno: Deno.version.deno };
  },
  files: denoFiles,
  probeSubgroups: (note, signal) => subgroupProbe({ onFailure: note, signal }),
  prepareAdapter: quietVulkan,
  cacheFolder,
  openReader: openDenoBlockReader,
  openDecoder: openDenoImageDecoder,
  mnistFolder: mnistPackageFolder,
  note: (line) => console.warn(escapeLine(line)),
};

if (typeof Deno !== "undefined") setHost(denoHost);
