/** Tests of stopping a command by signals. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { getExitCode } from "../../src/cli/command.ts";
import { Stopped } from "../../src/cli/stop.ts";
import { sha256 } from "../../src/io/checksum.ts";
import { startTask } from "../helpers/command.ts";
import { tinyDataset, tinyDatasetFiles } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const ignore = Deno.build.os === "windows";

/** Reads a stream in the background; `until` waits for a text in it, and `end` gives all of it. */
function follow(stream: ReadableStream<Uint8Array>) {
  let text = "";
  const waiting: (() => void)[] = [];
  const end = (async () => {
    const decoder = new TextDecoder();
    for await (const piece of stream) {
      text += decoder.decode(piece, { stream: true });
      for (const wake of waiting.splice(0)) wake();
    }
    for (const wake of waiting.splice(0)) wake();
    return text;
  })();
  let isEnded = false;
  end.then(() => isEnded = true);
  return {
    end,
    async until(part: string): Promise<void> {
      while (!text.includes(part)) {
        assert(!isEnded, `no ${part} in: ${text}`);
        await new Promise<void>((wake) => waiting.push(wake));
      }
    },
  };
}

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

Deno.test("getExitCode() is that of the signal where a command was stopped, without an error", async () => {
  const lines: string[] = [];
  const codeOf = (by: "SIGINT" | "SIGTERM") =>
    getExitCode(() => Promise.reject(new Stopped(by)), (line) => lines.push(line));
  assertEquals([await codeOf("SIGINT"), await codeOf("SIGTERM"), lines], [130, 143, []]);
});

for (const [name, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test({
    name: `listenForStop() tells of the first ${name}, and a second one ends the process`,
    ignore,
    fn: async () => {
      const script = fileURLToPath(new URL("../helpers/stop_process.ts", import.meta.url));
      const child = new Deno.Command("deno", {
        args: ["run", script],
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const out = follow(child.stdout), err = follow(child.stderr);
      await out.until("listening");
      child.kill(name);
      await out.until(`told: stopped by ${name}`);
      // The same Ctrl-C may come from the terminal and from `deno task`.
      child.kill(name);
      await pause(800);
      child.kill(name);
      assertEquals((await child.status).code, code);
      assertEquals((await out.end).match(/told/g)?.length, 1);
      assertStringIncludes(await err.end, "stopping after this step; once more stops at once");
    },
  });
}

/** Runs a test in a folder with the tiny data set and the flags that prune a tiny network on it. */
async function inFolder(run: (folder: string, flags: string[]) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/data`);
    for (const [name, bytes] of Object.entries(tinyDatasetFiles(tinyDataset()))) {
      await Deno.writeFile(`${folder}/data/${name}`, bytes);
    }
    await Deno.writeTextFile(`${folder}/model.json`, JSON.stringify(tinyGraph()));
    await run(folder, [`--data=${folder}/data`, `--model=${folder}/model.json`, "--batch=16", "--tune=off"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const namesIn = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

/** Starts a command, and waits for its end. */
async function start(...[task, args]: Parameters<typeof startTask>) {
  const child = await startTask(task, args), out = follow(child.stdout), err = follow(child.stderr);
  return {
    child,
    err,
    end: async () => ({
      code: (await child.status).code,
      stdout: await out.end,
      stderr: await err.end,
    }),
  };
}

Deno.test({
  name: "prune ends its step when it is told to stop, and --resume ends with the same bytes",
  ignore,
  fn: () =>
    inFolder(async (folder, flags) => {
      const given = [...flags, "--rounds=1", "--epochs=400"], out = `${folder}/out`;
      const run = async (args: readonly string[]) => await (await start("prune", args)).end();
      const stopped = await start("prune", [...given, `--out=${out}`]);
      await stopped.err.until("train ");
      // Nobody else goes on there meanwhile.
      for (const other of [[...given, `--out=${out}`, "--force"], [...given, `--out=${out}`]]) {
        const refused = await run(other);
        assertEquals(refused.code, 1, refused.stderr);
        assertMatch(
          refused.stderr,
          new RegExp(`^error: .*out": process ${stopped.child.pid} on .* writes to it`, "m"),
        );
      }
      stopped.child.kill("SIGTERM");
      const { code, stderr } = await stopped.end();
      assertEquals(code, 143, stderr);
      assertStringIncludes(stderr, `to go on: ./winnow prune --resume ${out}\n`);
      assert(!stderr.includes("error: Cannot"), stderr);
      assertEquals([namesIn(out), namesIn(`${out}/checkpoint`)], [["checkpoint"], ["run.safetensors"]]);
      const resuming = await start("prune", [`--resume=${out}`]);
      await resuming.err.until("train ");
      const twice = await run([`--resume=${out}`]);
      assertMatch(
        twice.stderr,
        new RegExp(`^error: .*out": process ${resuming.child.pid} on .* writes to it`, "m"),
      );
      const resumed = await resuming.end();
      assertEquals(resumed.code, 0, resumed.stderr);
      assertMatch(
        resumed.stdout,
        /^Prune it further: \.\/winnow prune --model .*out\/model\.safetensors --data \S+ --sparsity 0\.\d+$/m,
      );
      assertEquals(namesIn(out), ["model.safetensors", "report.html", "report.json", "times.json"]);
      const times = JSON.parse(await Deno.readTextFile(`${out}/times.json`));
      assertEquals([times.isResumed, times.seconds > 0], [true, true]);
      // Written to another folder, but for which the report is the same.
      const whole = await run([...given, `--out=${folder}/whole`]);
      assertEquals(whole.code, 0, whole.stderr);
      const [one, other] = await Promise.all(["out", "whole"].map(async (name) => [
        (await Deno.readTextFile(`${folder}/${name}/report.json`)).replaceAll(`${folder}/${name}`, "OUT"),
        await sha256(await Deno.readFile(`${folder}/${name}/model.safetensors`)),
      ]));
      assertEquals(one, other);
    }),
});

Deno.test({
  name:
    "compare and sensitivity stop when they are told to, and go on to the same bytes, with data that moved",
  ignore,
  fn: () =>
    inFolder(async (folder, flags) => {
      const given = [...flags, "--epochs=1", "--validation=16"];
      const variants = "magnitude/refit,snr,confidence/T=auto";
      const moved = `${folder}/moved`;
      for (
        const { command, lists } of [
          {
            command: "compare",
            lists: ["--sparsities=0.5,0.8", `--variants=${variants}`, "--seeds=1,2", "--finetune-epochs=1"],
          },
          {
            command: "sensitivity",
            lists: ["--sparsities=0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8", "--refit=layers", "--seed=2"],
          },
        ] as const
      ) {
        const out = `${folder}/${command}`, whole = `${out}-whole`;
        const stopped = await start(command, [...given, ...lists, `--out=${out}`]);
        const found = async () =>
          await Deno.readTextFile(`${out}/${command}.json`).then(
            (text) => JSON.parse(text).cells.length,
            () => 0,
          );
        while (await found() < 3) await pause(20);
        stopped.child.kill("SIGINT");
        const { code, stderr } = await stopped.end();
        assertEquals(code, 130, stderr);
        assertStringIncludes(stderr, `to go on: ./winnow ${command} --resume ${out}`);
        const read = (folder: string) => Deno.readTextFile(`${folder}/${command}.json`);
        const cells = JSON.parse(await read(out)).cells.length;
        // The folder of the data has another name now.
        await Deno.rename(`${folder}/data`, moved);
        const resumed = await (await start(command, [`--resume=${out}`, `--data=${moved}`])).end();
        await Deno.rename(moved, `${folder}/data`);
        assertEquals(resumed.code, 0, resumed.stderr);
        assertStringIncludes(resumed.stderr, `trained-${command === "compare" ? 1 : 2}.safetensors, which`);
        assertEquals((await (await start(command, [...given, ...lists, `--out=${whole}`])).end()).code, 0);
        const wanted = await read(whole);
        assert(cells > 0 && cells < JSON.parse(wanted).cells.length, `${cells} cells were kept`);
        assertEquals((await read(out)).replaceAll(out, whole).replaceAll(moved, `${folder}/data`), wanted);
        const again = [`--resume=${out}`, `--data=${folder}/data`];
        // Other images are refused, and a trained network of which a bit flipped.
        const other = await Deno.readFile(`${folder}/data/t10k-images-idx3-ubyte`);
        await Deno.writeFile(`${folder}/data/t10k-images-idx3-ubyte`, other.with(-1, other.at(-1)! ^ 1));
        const refused = await (await start(command, again)).end();
        await Deno.writeFile(`${folder}/data/t10k-images-idx3-ubyte`, other);
        assertEquals(refused.code, 1);
        assertStringIncludes(refused.stderr, 'the comparison": contents of the test examples was');
        const name = `trained-${command === "compare" ? 1 : 2}.safetensors`;
        const network = await Deno.readFile(`${out}/${name}`);
        await Deno.writeFile(`${out}/${name}`, network.with(-9, network.at(-9)! ^ 1));
        const flipped = await (await start(command, [...again, "--sparsities=0.65"])).end();
        assertEquals(flipped.code, 1);
        assertStringIncludes(flipped.stderr, `Cannot take "${name}": its checksum is`);
      }
      const scan = await start(
        "sensitivity",
        [...given, "--epochs=4000", `--out=${folder}/scan`].filter((flag) => flag !== "--epochs=1"),
      );
      await scan.err.until("train, seed");
      scan.child.kill("SIGINT");
      assertEquals((await scan.end()).code, 130);
      assertEquals(namesIn(folder).includes("scan"), false, "nothing was kept");
    }),
});
