/** Tests of runs that are told to stop, and go on to the same bits. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadCheckpoint } from "../../src/io/checkpoint.ts";
import { readResults } from "../../src/runs/results.ts";
import { memoryFiles } from "../helpers/memory_files.ts";
import { bitsOf, plain, rich, run } from "../helpers/resumed_runs.ts";

Deno.test("runPrune() told to stop keeps a checkpoint at the step, whenever that is, and ends with the same bits", async () => {
  const config = { ...rich, checkpointEvery: undefined },
    whole = await run({
      config,
      files: memoryFiles(),
      resumes: false,
    });
  const files = memoryFiles(), reason = new Error("told to stop");
  const places = new Set<string>();
  for (;;) {
    const controller = new AbortController();
    const onProgress = () => controller.abort(reason);
    const resumes = files.entries.has("out/checkpoint/run.safetensors");
    try {
      const input = { signal: controller.signal, onProgress };
      const result = await run({ config, files, resumes, input });
      assertEquals(bitsOf(result), bitsOf(whole));
      assertEquals(JSON.stringify(result.report), JSON.stringify(whole.report));
      break;
    } catch (error) {
      assert(error === reason, String(error));
      const path = "out/checkpoint/run.safetensors", stored = await loadCheckpoint(path, files);
      const { steps, training } = readResults(stored, path);
      if (training) {
        const { name, state: { step, steps } } = training;
        places.add(`${name} ${step === steps / 2 ? "between epochs" : "within"}`);
      } else places.add(`${steps.at(-1)!.name} at its end`);
    }
  }
  const phases = ["train", "fine-tune 1/2", "fine-tune 2/2"];
  for (const phase of phases) {
    assert(places.has(`${phase} within`) || places.has(`${phase} at its end`), phase);
  }
  assert(places.has("train within"), [...places].join());
  await assertRejects(
    () => run({ config, files: memoryFiles(), resumes: false, input: { signal: AbortSignal.abort(reason) } }),
    Error,
    "told to stop",
  );
});

/** A signal that is aborted at its check of a number, of those that a pattern finds in where it is checked. */
function abortingAt(place: RegExp, check: number, reason: Error) {
  const { signal } = new AbortController(), counts = { checks: 0 };
  signal.throwIfAborted = () => {
    if (!place.test(new Error().stack!)) return;
    if (counts.checks++ >= check) throw reason;
  };
  return { signal, counts };
}

const reason = new Error("told to stop");

const refitted = { refit: "layers", selection: "obs" };

for (
  const [where, { place, more }] of Object.entries({
    scoring: { place: /accumulateGradients/, more: {} },
    "taking the target of a refit": { place: /gatherAt/, more: refitted },
    "a refit of a layer": { place: /#solveGroups/, more: refitted },
    "steps of selection": { place: /selectByObs/, more: refitted },
  })
) {
  Deno.test(`runPrune() told to stop in ${where} ends there, and goes on to the same bits`, async () => {
    const stackTraceLimit = Error.stackTraceLimit;
    Error.stackTraceLimit = 100;
    try {
      const config = { ...plain, checkpointEvery: 1, compare: false, calibration: 32, ...more };
      const runWith = async (check: number, files = memoryFiles()) => {
        const { signal, counts } = abortingAt(place, check, reason);
        const resumes = files.entries.has("out/checkpoint/run.safetensors");
        return { result: await run({ config, files, resumes, input: { signal } }), counts };
      };
      const whole = await runWith(Infinity), { checks } = whole.counts;
      assert(checks > 2, `${checks} checks`);
      for (const check of [0, Math.floor(checks / 2), checks - 1]) {
        const files = memoryFiles();
        assertEquals(await assertRejects(() => runWith(check, files)), reason);
        assertEquals(bitsOf((await runWith(Infinity, files)).result), bitsOf(whole.result), `check ${check}`);
      }
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  });
}
