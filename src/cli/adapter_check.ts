/**
 * Exits with 1 where WebGPU finds no adapter, and prints nothing. The start script asks this before anything
 * else is loaded, so this file imports nothing.
 *
 * @module
 */

const adapter = await navigator.gpu?.requestAdapter();
if (!adapter) Deno.exitCode = 1;
