/**
 * The start script on machines that are made up: Deno, apt-get and id are scripts that note what they are asked.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";

const startScript = fileURLToPath(new URL("../../winnow", import.meta.url));

interface Machine {
  /** Through what WebGPU finds an adapter, before apt-get has installed a driver and after it. */
  readonly backend: string;
  readonly backendAfter?: string;
  readonly user?: number;
  readonly aptCode?: number;
  /** DENO_WEBGPU_BACKEND. */
  readonly variable?: string;
}

/** Runs the start script on such machines one after the other, whose folders are the same. */
async function start(machines: readonly Machine[]) {
  const folder = await Deno.makeTempDir();
  const stub = async (name: string, text: string) => {
    await Deno.writeTextFile(`${folder}/${name}`, `#!/bin/sh\n${text}`, { mode: 0o755 });
  };
  const results = [];
  try {
    for (const { backend, backendAfter = backend, user = 0, aptCode = 0, variable } of machines) {
      await Deno.writeTextFile(`${folder}/log`, "");
      await stub(
        "deno",
        `case $1 in --version) echo "deno 2.9.9 (stable)" ;;
         run) if [ -e ${folder}/driver ]; then echo "${backendAfter}"; else echo "${backend}"; fi ;;
         *) echo "deno $1" >> ${folder}/log ;; esac`,
      );
      await stub("apt-get", `echo "apt-get $1" >> ${folder}/log; : > ${folder}/driver; exit ${aptCode}`);
      await stub("id", `echo ${user}`);
      await stub("uname", "echo Linux");
      const { code, stderr } = await new Deno.Command("sh", {
        args: [startScript, "prune"],
        clearEnv: true,
        env: {
          PATH: `${folder}:${Deno.env.get("PATH")}`,
          HOME: folder,
          XDG_RUNTIME_DIR: folder,
          ...(variable === undefined ? {} : { DENO_WEBGPU_BACKEND: variable }),
        },
      }).output();
      const did = (await Deno.readTextFile(`${folder}/log`)).split("\n").filter((line) => line !== "");
      results.push({ code, did, said: new TextDecoder().decode(stderr) });
      await Deno.remove(`${folder}/driver`).catch(() => {});
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return results;
}

/** What installs a driver is known by the distribution; that of the machine cannot be made up. */
const release = await Deno.readTextFile("/etc/os-release").catch(() => "");
const ignore = !/^ID(_LIKE)?=.*(debian|ubuntu)/m.test(release);
if (ignore) console.log("skipped: tests of the start script, which need Debian or Ubuntu");

const installed = ["apt-get update", "apt-get install"];

Deno.test(
  "the start script installs nothing where Vulkan, or what was chosen, gives an adapter",
  { ignore },
  async () => {
    for (
      const machine of [
        { backend: "vulkan" },
        { backend: "metal" },
        { backend: "opengl", variable: "opengl" },
        // Whoever may not install gets the adapter that there is; the run itself says what that costs.
        { backend: "opengl", user: 1000 },
      ]
    ) {
      const [{ code, did, said }] = await start([machine]);
      assertEquals([code, did, said], [0, ["deno task"], ""], JSON.stringify(machine));
    }
  },
);

Deno.test("the start script takes OpenGL's adapter for a missing Vulkan driver, and installs that", {
  ignore,
}, async () => {
  for (const backend of ["opengl", ""]) {
    const [{ code, did, said }] = await start([{ backend, backendAfter: "vulkan" }]);
    assertEquals([code, did], [0, [...installed, "deno task"]]);
    assertMatch(said, /^winnow: WebGPU finds no (Vulkan )?adapter; installing mesa-vulkan-drivers$/m);
  }
});

Deno.test(
  "the start script goes on with OpenGL where no driver can be had, and tries once",
  { ignore },
  async () => {
    const offline = { backend: "opengl", aptCode: 100 };
    const [first, second] = await start([offline, offline]);
    assertEquals([first.code, first.did], [0, ["apt-get update", "deno task"]]);
    assertMatch(first.said, /^winnow: will not try again while \S+\/vulkan-tried exists$/m);
    assertEquals([second.code, second.did, second.said], [0, ["deno task"], ""]);
  },
);

Deno.test("the start script ends with one line where there is no adapter at all", { ignore }, async () => {
  const cases: readonly [Machine, RegExp][] = [
    [
      { backend: "", user: 1000 },
      /^error: Cannot use "WebGPU": no adapter found, expected apt-get install mesa-vulkan-/m,
    ],
    [
      { backend: "", aptCode: 100 },
      /^error: Cannot use "WebGPU": no adapter found, expected a Vulkan driver that works/m,
    ],
    [
      { backend: "", variable: "metal" },
      /^error: Cannot use "WebGPU": no adapter through DENO_WEBGPU_BACKEND "metal", /m,
    ],
    [
      { backend: "", variable: "" },
      /^error: Cannot use "WebGPU": no adapter through DENO_WEBGPU_BACKEND "", /m,
    ],
  ];
  for (const [machine, error] of cases) {
    // Each try is made anew: nothing serves meanwhile.
    for (const { code, did, said } of await start([machine, machine])) {
      assertEquals([code, did.includes("deno task")], [1, false], JSON.stringify(machine));
      assertMatch(said, error);
    }
  }
});
