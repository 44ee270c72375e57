import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Owner, provideDispose } from "../../src/dispose.ts";
import { walk } from "./entry.ts";

const pathOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Runs Deno, and returns what it prints. */
async function deno(...args: readonly string[]): Promise<string> {
  const env = { NO_COLOR: "1" };
  const { success, stdout, stderr } = await new Deno.Command("deno", { args: [...args], env }).output();
  const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(success, `${out}${error}`);
  return out!;
}

Deno.test("a bundle for the browser loads without Deno and Node, lowers a plan, and reads and writes a model", async () => {
  const folder = await Deno.makeTempDir(), bundle = `${folder}/bundle.js`;
  try {
    const config = `--config=${pathOf("../../deno.json")}`;
    await deno("bundle", "--quiet", config, "--platform=browser", `--output=${bundle}`, pathOf("./entry.ts"));
    const code = await Deno.readTextFile(bundle);
    // What is imported once a download asks for it may be of Node.
    assertEquals(
      [...code.matchAll(/^\s*(?:import|export)\b[^;(]*\bfrom\s*["'][^"']+["']/gm)].map(([found]) => found),
      [],
    );
    const args = [
      "run",
      "--no-prompt",
      "--no-config",
      `--allow-read=${folder}`,
      pathOf("./bundle_process.ts"),
    ];
    const { opened, ...got } = JSON.parse(await deno(...args, pathToFileURL(bundle).href));
    assertMatch(opened, /this runtime has no WebGPU/);
    const navigator = Object.getOwnPropertyDescriptor(globalThis, "navigator")!;
    const { opened: _, ...want } = await walk().finally(() =>
      Object.defineProperty(globalThis, "navigator", navigator)
    );
    assertEquals(got, { left: [], ...want });
    assert(want.isSame && want.dispatches > 20 && want.bytes > 1000);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("provideDispose() gives the symbol that bundlers take, and leaves one that is there", () => {
  const bare: { dispose?: symbol; for(key: string): symbol } = { for: (key) => Symbol.for(key) };
  provideDispose(bare);
  assertEquals(bare.dispose, Symbol.for("Symbol.dispose"));
  const own = { dispose: Symbol("own"), for: (key: string) => Symbol.for(key) }, { dispose } = own;
  provideDispose(own);
  assertEquals(own.dispose, dispose);
});

Deno.test("Owner disposes of all that it holds, the last first, once, and hands it on", () => {
  const order: string[] = [];
  const resource = (name: string, error?: Error) => ({
    [Symbol.dispose]() {
      order.push(name);
      if (error) throw error;
    },
  });
  const owner = new Owner();
  owner.use(resource("first"));
  owner.use(resource("second", new Error("broken")));
  const last = resource("third");
  assertEquals(owner.use(last), last);
  const moved = owner.move();
  owner[Symbol.dispose]();
  assertEquals(order, []);
  assertThrows(() => moved[Symbol.dispose](), Error, "broken");
  assertEquals(order, ["third", "second", "first"]);
  moved[Symbol.dispose]();
  assertEquals(order.length, 3);
});
