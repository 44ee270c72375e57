/** Tests of the folder that commands write to. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { resolveLatest, runName } from "../../src/deno/latest_run.ts";
import { OutputFolder, ownNames } from "../../src/deno/output_folder.ts";
import { FileError } from "../../src/errors.ts";

/** Runs a test in a folder of its own. */
async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const namesIn = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

/** Writes empty files, and the folders that they are in. */
async function touch(folder: string, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    await Deno.mkdir(`${folder}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${folder}/${name}`, name);
  }
}

const checkpoints = ["run", "trained", "pruned", "after-round-2"].map((name) =>
  `checkpoint/${name}.safetensors`
);

Deno.test("OutputFolder makes a folder and locks it, and leaves none without something in it", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a/b`;
    {
      await using output = await OutputFolder.open(`${path}/`, "new");
      assertEquals([output.path, namesIn(path)], [path, [".winnow.lock"]]);
    }
    assertEquals(namesIn(folder), []);
    {
      await using _output = await OutputFolder.open(path, "new");
      await touch(path, "report.json");
    }
    assertEquals(namesIn(path), ["report.json"]);
    await assertRejects(() => OutputFolder.open(path, "new"), FileError, "it holds 1 entry (report.json)");
    assertEquals(namesIn(path), ["report.json"]);
  }));

Deno.test("OutputFolder says how to go on where a run was stopped", () =>
  inFolder(async (folder) => {
    await touch(folder, "checkpoint/run.safetensors");
    const wanted =
      `it holds 1 entry (checkpoint), expected an empty folder, or ./winnow prune --resume ${folder} to go on`;
    await assertRejects(() => OutputFolder.open(folder, "new"), FileError, wanted);
  }));

Deno.test("OutputFolder refuses a folder that is in use, and names the process", () =>
  inFolder(async (folder) => {
    for (const use of ["new", "force", "go on"] as const) {
      await using _held = await OutputFolder.open(folder, use);
      for (const other of ["new", "force", "go on"] as const) {
        const { message } = await assertRejects(() => OutputFolder.open(folder, other), FileError);
        assertMatch(
          message,
          /^Cannot write to folder ".*": process \d+ on .+, since 2.*Z writes to it, expected another folder/,
        );
        assert(message.includes(`process ${Deno.pid} `));
      }
    }
    assertEquals(namesIn(folder), []);
    // What a process leaves that was killed locks nothing.
    await touch(folder, ".winnow.lock");
    await using _taken = await OutputFolder.open(folder, "new");
  }));

Deno.test("OutputFolder.open() refuses what cannot be written to, and what is in the way of its files", () =>
  inFolder(async (folder) => {
    await touch(folder, "file");
    await assertRejects(() => OutputFolder.open(`${folder}/file`, "force"), FileError, "file");
    await assertRejects(() => OutputFolder.open(`${folder}/file/out`, "force"), FileError, "file/out");
    await Deno.mkdir(`${folder}/a/model.safetensors`, { recursive: true });
    await assertRejects(
      () => OutputFolder.open(`${folder}/a`, "force"),
      FileError,
      'a/model.safetensors": it is a folder, expected a file, or nothing by that name',
    );
    await touch(folder, "b/checkpoint");
    await assertRejects(
      () => OutputFolder.open(`${folder}/b`, "force"),
      FileError,
      'b/checkpoint": it is no',
    );
    assertEquals(namesIn(`${folder}/b`), ["checkpoint"]);
  }));

Deno.test({
  name: "OutputFolder.open() refuses a folder that nobody can write to",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await assertRejects(() => OutputFolder.open("/sys/kernel", "force"), FileError, "/sys/kernel");
  },
});

Deno.test("OutputFolder removes what winnow wrote alone, once a forced run starts", () =>
  inFolder(async (folder) => {
    const others = [
      "notes.txt",
      "checkpoint/mine.safetensors",
      "last-good.safetensors.bak",
      "x.12345678.tmp",
    ];
    const earlier = ["report.json", "model.safetensors"];
    const own = [
      ...["last-good.safetensors", "report.json.0a1b2c3d.tmp", "checkpoint/run.safetensors.0a1b2c3d.tmp"],
      ...checkpoints,
    ];
    await touch(folder, ...others, ...earlier, ...own);
    const all = () => [...namesIn(folder), ...namesIn(`${folder}/checkpoint`)];
    const before = all();
    {
      await using output = await OutputFolder.open(folder, "force");
      assertEquals(all().filter((name) => name !== ".winnow.lock"), before, "nothing goes before the start");
      await output.start();
    }
    // The report and the model stay until the new ones are written over them.
    assertEquals(namesIn(folder), [
      ...["checkpoint", "last-good.safetensors.bak", "model.safetensors", "notes.txt", "report.json"],
      "x.12345678.tmp",
    ]);
    assertEquals(namesIn(`${folder}/checkpoint`), ["mine.safetensors"]);
    for (const name of [...others, ...earlier]) {
      assertEquals(await Deno.readTextFile(`${folder}/${name}`), name);
    }
  }));

Deno.test({
  name: "OutputFolder.open() goes through no link, and names it",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      await touch(folder, ...checkpoints.map((name) => name.replace("checkpoint", "theirs")), "victim");
      const kept = namesIn(`${folder}/theirs`);
      const wrong = {
        "checkpoint": "theirs",
        "report.json": "victim",
        "last-good.safetensors": "victim",
        "trained-0.safetensors": "victim",
        ".winnow.lock": "victim",
        "checkpoint/run.safetensors": "victim",
      };
      for (const [name, target] of Object.entries(wrong)) {
        const out = `${folder}/${name.replace("/", "-")}`;
        await Deno.mkdir(`${out}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
        await Deno.symlink(`${folder}/${target}`, `${out}/${name}`);
        for (const use of ["force", "go on"] as const) {
          const message = `Cannot write to "${out}/${name}": it is a link to ${folder}/${target}, expected a`;
          await assertRejects(() => OutputFolder.open(out, use), FileError, message);
        }
      }
      // The folder itself, whether there is something where it leads or not.
      for (const target of ["theirs", "nowhere"]) {
        const link = `${folder}/link-to-${target}`,
          message = `Cannot write to "${link}": it is a link to ${target},`;
        await Deno.symlink(target, link);
        for (const use of ["new", "force", "go on"] as const) {
          await assertRejects(() => OutputFolder.open(`${link}/`, use), FileError, message);
        }
      }
      assertEquals(namesIn(`${folder}/theirs`), kept);
      assertEquals(await Deno.readTextFile(`${folder}/victim`), "victim");
      assertEquals(namesIn(folder).includes("nowhere"), false);
    }),
});

Deno.test("OutputFolder.make() makes a folder for each run, and points latest to the newest that started", () =>
  inFolder(async (folder) => {
    const base = `${folder}/out`, now = new Date(2026, 10, 29, 4, 6);
    const names: string[] = [];
    for (let run = 0; run < 3; run++) {
      await using output = await OutputFolder.make(base, "seed-cifar10", now);
      await output.start();
      await touch(output.path, "report.json");
      names.push(output.path.slice(base.length + 1));
      assertEquals(await Deno.realPath(`${base}/latest`), await Deno.realPath(output.path));
    }
    const dated = "2026-11-29-0406-seed-cifar10";
    assertEquals(names, [dated, `${dated}-2`, `${dated}-3`]);
    {
      // One that was refused leaves nothing, and one that ended with nothing neither.
      await using _refused = await OutputFolder.make(base, "seed-cifar10", now);
      await using ended = await OutputFolder.make(base, "seed-cifar10", now);
      await ended.start();
      assertEquals(await Deno.readLink(`${base}/latest`), `${names[0]}-5`);
    }
    assertEquals(namesIn(base), [...names, "latest"]);
    assertEquals(await Deno.readLink(`${base}/latest`), names[2]);
    // A run that goes on there keeps its folder where a later run points latest on.
    for (const path of [`${base}/latest`, `${base}/latest/`]) {
      assertEquals(await resolveLatest(path), `${base}/${names[2]}`);
    }
    // Where links cannot be made it is a text, which is followed and pointed on.
    await Deno.remove(`${base}/latest`);
    await Deno.writeTextFile(`${base}/latest`, `${names[0]}\n`);
    assertEquals(await resolveLatest(`${base}/latest`), `${base}/${names[0]}`);
    await using next = await OutputFolder.make(base, "seed-cifar10", now);
    await next.start();
    assertEquals(await Deno.readLink(`${base}/latest`), `${dated}-4`);
  }));

Deno.test("OutputFolder.make() leaves no latest where no run left anything", () =>
  inFolder(async (folder) => {
    {
      await using output = await OutputFolder.make(`${folder}/out`, "seed");
      await output.start();
    }
    assertEquals(namesIn(folder), []);
  }));

Deno.test("OutputFolder leaves what others call latest, and says so", () =>
  inFolder(async (folder) => {
    const warn = console.warn, said: string[] = [];
    console.warn = (line: string) => said.push(line);
    using _ = { [Symbol.dispose]: () => void (console.warn = warn) };
    const later = async (name: string) => {
      await using output = await OutputFolder.make(folder, name);
      await output.start();
      return output.path;
    };
    const kept = (path: string, what: string) =>
      `${folder}/latest stays as it is, ${what}; this run is in ${path}`;
    await touch(folder, "latest");
    assertEquals(said, [kept(await later("a"), "which winnow did not make")]);
    assertEquals(await Deno.readTextFile(`${folder}/latest`), "latest");
    assertEquals(await resolveLatest(`${folder}/latest`), `${folder}/latest`);
    await Deno.remove(`${folder}/latest`);
    await touch(folder, "latest/mine");
    await later("b");
    assertEquals(namesIn(`${folder}/latest`), ["mine"]);
    if (Deno.build.os === "windows") return;
    await Deno.remove(`${folder}/latest`, { recursive: true });
    // By its name alone it could be a run's; it lies elsewhere.
    for (const target of ["elsewhere", "/elsewhere/2026-11-29-0406-seed"]) {
      await Deno.symlink(target, `${folder}/latest`);
      const path = await later("c");
      assertEquals(said.at(-1), kept(path, `a link to ${target} that winnow did not make`));
      assertEquals(await Deno.readLink(`${folder}/latest`), target);
      await Deno.remove(`${folder}/latest`);
    }
  }));

Deno.test("docs/formats.md names every file that commands write into their output folder", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/formats.md", import.meta.url));
  assertEquals([...ownNames].filter((name) => !page.includes(`OUT/${name}`)), []);
});

Deno.test("runName() is plain, whatever the parts are", () => {
  assertEquals(runName("compare", "seed", "cifar10"), "compare-seed-cifar10");
  assertEquals(runName("", "../a b/é\u001b[31m", "-x."), "a-b-31m-x");
  assertEquals(runName("x".repeat(99), ""), "x".repeat(40));
});
