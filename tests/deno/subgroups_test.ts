import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fileURLToPath } from "node:url";
import { spawnDeno } from "../../src/deno/child.ts";
import { subgroupProbe } from "../../src/deno/subgroups.ts";

const offer = { adapter: "auto", hasFeature: false, minSize: undefined, maxSize: undefined } as const;

/** A script that stands for the probe. */
const standIn = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;

/** What comes of a probe by another script. */
async function probeBy(
  code: string,
  timeoutMs = 30_000,
): Promise<{ readonly size?: number; readonly notes: string[] }> {
  const notes: string[] = [];
  const size = await subgroupProbe({
    script: standIn(code),
    timeoutMs,
    onFailure: (line) => notes.push(line),
  })(offer);
  return { notes, ...(size === undefined ? {} : { size }) };
}

Deno.test("subgroupProbe() says why a probe came to nothing, whatever the reason", async () => {
  const reasons: readonly [string, RegExp][] = [
    [
      'throw new Error("the driver is too old");',
      /the probe ended with exit code 1: error: .*the driver is too old$/,
    ],
    ["Deno.exit(3);", /the probe ended with exit code 3$/],
    ['import process from "node:process"; process.abort();', /the probe ended with SIGABRT/],
    ['console.log("what?");', /the probe answered "what\?\\n"$/],
    ["console.log('{\"subgroupSize\": -1}');", /the probe answered /],
  ];
  for (const [code, reason] of reasons) {
    const { size, notes } = await probeBy(code);
    assertEquals([size, notes.length], [undefined, 1], code);
    assertMatch(notes[0], /^note: subgroups are not used, which may cost half of the speed: /);
    assertMatch(notes[0], reason);
  }
  const { size, notes } = await probeBy("await new Promise((done) => setTimeout(done, 1e6));", 200);
  assertEquals([size, notes.length], [undefined, 1]);
  assertMatch(notes[0], /the probe took more than 0.2 s$/);
});

Deno.test("subgroupProbe() throws the reason of a signal that ends it, and says nothing", async () => {
  const notes: string[] = [], controller = new AbortController();
  const script = standIn("await new Promise((done) => setTimeout(done, 1e6));");
  const probe = subgroupProbe({
    script,
    onFailure: (line) => notes.push(line),
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(new Error("enough")), 200);
  await assertRejects(() => probe(offer), Error, "enough");
  assertEquals(notes, []);
});

Deno.test({
  name: "Ctrl-C while subgroups are tried ends a command as interrupted, without a word on subgroups",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const helper = fileURLToPath(new URL("../helpers/interrupted_probe.ts", import.meta.url));
    const script = standIn("await new Promise((done) => setTimeout(done, 1e6));");
    // A group of processes of its own, as a terminal's job is; Ctrl-C signals all of it.
    const command = new Deno.Command("deno", {
      args: ["run", "-A", helper, script],
      detached: true,
      stdout: "piped",
      stderr: "piped",
      env: { NO_COLOR: "1" },
    }).spawn();
    const reader = command.stdout.getReader();
    await reader.read();
    await new Deno.Command("sh", { args: ["-c", `kill -s INT -- -${command.pid}`] }).output();
    assertEquals((await command.status).code, 130);
    await reader.cancel();
    const said = await new Response(command.stderr).text();
    assertEquals(said, "stopping after this step; once more stops at once\n");
  },
});

Deno.test("subgroupProbe() takes an answer and says nothing, be it that there are none", async () => {
  assertEquals(await probeBy("console.log('{\"subgroupSize\": 8}');"), { size: 8, notes: [] });
  assertEquals(await probeBy("console.log('{\"subgroupSize\": null}');"), { notes: [] });
  // A driver that crashes while it is unloaded, when all is said.
  assertEquals(await probeBy("console.log('{\"subgroupSize\": 8}'); Deno.exit(1);"), { size: 8, notes: [] });
});

Deno.test("subgroupProbe() starts no process where the adapter's subgroups have another size", async () => {
  const probe = subgroupProbe({
    script: standIn("throw 1"),
    onFailure: (line) => {
      throw new Error(line);
    },
  });
  assertEquals(await probe({ ...offer, minSize: 32, maxSize: 32 }), undefined);
  assertEquals(await probe({ ...offer, minSize: 4, maxSize: 4 }), undefined);
});

/** Asks the probe in a process with some permissions and variables. */
async function probeIn(
  permissions: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<
  { readonly size: number | null; readonly notes: readonly string[]; readonly kept: string | null }
> {
  const helper = fileURLToPath(new URL("../helpers/probe_process.ts", import.meta.url));
  const answer = standIn('console.log(JSON.stringify({subgroupSize: Deno.args[0] === "auto" ? 8 : 1}));');
  // The test process may run sh too, which hands variables on that Deno itself would not.
  const sets = Object.entries(env).map(([name, value]) => `${name}='${value}'`).join(" ");
  const { stdout, stderr } = await new Deno.Command("sh", {
    args: [
      "-c",
      `${sets} exec deno run --no-prompt --allow-read ${permissions.join(" ")} '${helper}' "$0"`,
      answer,
    ],
    env: { NO_COLOR: "1" },
  }).output();
  try {
    return JSON.parse(new TextDecoder().decode(stdout));
  } catch {
    throw new Error(new TextDecoder().decode(stderr));
  }
}

Deno.test("the probe runs where variables of the dynamic loader are set, with the permissions of the tasks", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  const starting = Object.entries<{ readonly command: string }>(tasks)
    .filter(([, { command }]) => command.includes("--allow-run=deno"));
  assert(starting.length > 4, `${starting.length} tasks`);
  for (const [name, { command }] of starting) {
    const permissions = command.match(/--allow-(env|run)\S+/g)!;
    const set = { LD_LIBRARY_PATH: "/usr/local/cuda/lib64", LD_BIND_NOW: "1", DYLD_LIBRARY_PATH: "/opt/lib" };
    const { size, notes, kept } = await probeIn(permissions, set);
    assertEquals([size, notes, kept], [8, [], set.LD_LIBRARY_PATH], name);
  }
});

Deno.test("a probe that may not be started says so", async () => {
  const { size, notes } = await probeIn(["--allow-env"], {});
  assertEquals(size, null);
  assertMatch(notes[0], /the probe could not be started: it takes --allow-run=deno/);
  const loader = await probeIn(["--allow-run=deno", "--allow-env=LD_LIBRARY_PATH"], { LD_UNHEARD_OF: "1" });
  assertMatch(loader.notes[0], /could not be started: Requires --allow-run permissions .* LD_UNHEARD_OF/);
});

Deno.test("spawnDeno() hands on all variables but those of the loader, and leaves its own as they were", async () => {
  Deno.env.set("LD_WARN", "1");
  try {
    const code = 'console.log(Deno.env.get("LD_WARN") ?? "none", Deno.env.has("PATH"));';
    const { stdout } = await spawnDeno({ args: ["run", "--allow-env", standIn(code)], stdout: "piped" })
      .output();
    assertEquals(new TextDecoder().decode(stdout), "none true\n");
    assertEquals(Deno.env.get("LD_WARN"), "1");
  } finally {
    Deno.env.delete("LD_WARN");
  }
});
