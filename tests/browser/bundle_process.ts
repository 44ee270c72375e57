/**
 * Loads a bundle without what browsers lack, and prints what comes of its walk: started by bundle_test.ts with the
 * bundle's address.
 *
 * @module
 */
const address = Deno.args[0]!;
const names = ["Deno", "process", "Buffer", "global", "DisposableStack", "AsyncDisposableStack"];
for (const name of names) Reflect.deleteProperty(globalThis, name);
const left = names.filter((name) => name in globalThis);
const { walk } = await import(address);
console.log(JSON.stringify({ left, ...await walk() }));
