/** Holds the tally and the confusion counts against counts on the host; the sum of losses has sumTolerance. */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { randomTensor, sumTolerance } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertSame } from "./precision.ts";

const noBadStep = 0xffffffff;
const emptyTally = Uint32Array.of(0, 0, 0, noBadStep);

/** A batch's losses, predictions and labels, of which one in three predictions is right. */
function batchOf(rows: number, seed: number) {
  const losses = Float32Array.from(randomTensor([rows], seed).values, Math.abs);
  const labels = Uint32Array.from({ length: rows }, (_, row) => row % 10);
  const predictions = labels.map((label, row) => (label + row % 3) % 10);
  return { losses, labels, predictions };
}

async function addToTally(
  path: ReadPath,
  tally: Uint32Array,
  { batch, count, index, isLabelled = true }: {
    readonly batch: ReturnType<typeof batchOf>;
    readonly count: number;
    readonly index: number;
    readonly isLabelled?: boolean;
  },
): Promise<Uint32Array> {
  const { integers } = await runKernels({
    path,
    dispatches: [{
      kernel: "loss/tally",
      label: "tally",
      bindings: {
        losses: inputRef("losses"),
        predictions: inputRef("predictions"),
        labels: inputRef("labels"),
        tally: inputRef("tally"),
      },
      params: { rows: batch.losses.length },
      constants: { UNLABELLED: isLabelled ? 0 : 1 },
      workgroups: [1, 1, 1],
    }],
    buffers: { ...batch, tally },
    step: { count, index },
  });
  return integers("tally");
}

const lossSumOf = (tally: Uint32Array) => new Float32Array(tally.slice(0, 1).buffer)[0];

for (const path of readPaths) {
  Deno.test(`tally() adds losses, hits and rows of several steps, ${path} path`, async () => {
    let tally: Uint32Array = emptyTally, lossSum = 0, hits = 0, rows = 0;
    for (const [size, count] of [[1, 1], [64, 64], [200, 131]]) {
      const batch = batchOf(size, size);
      tally = await addToTally(path, tally, { batch, count, index: rows });
      for (let row = 0; row < count; row++) {
        lossSum += batch.losses[row];
        hits += batch.predictions[row] === batch.labels[row] ? 1 : 0;
      }
      rows += count;
      const error = Math.abs(lossSumOf(tally) - lossSum);
      assert(error <= sumTolerance(rows, lossSum), `loss sum is off by ${error}`);
      assertSame(tally.subarray(1), [hits, rows, noBadStep], `${path} tally`);
    }
  });

  Deno.test(`tally() counts no hits without labels, ${path} path`, async () => {
    const batch = batchOf(200, 3), given = { batch, count: 131, index: 0 };
    const labelled = await addToTally(path, emptyTally, given);
    const tally = await addToTally(path, emptyTally, { ...given, isLabelled: false });
    assert(labelled[1] > 0);
    assertSame(tally, [labelled[0], 0, 131, noBadStep], `${path} tally`);
  });

  Deno.test(`tally() notes the first step whose loss is not finite, ${path} path`, async () => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      for (const row of [0, 77]) {
        const batch = batchOf(100, 1), broken = batchOf(100, 1);
        broken.losses[row] = bad;
        let tally = await addToTally(path, emptyTally, { batch, count: 100, index: 6 });
        assert.equal(tally[3], noBadStep);
        tally = await addToTally(path, tally, { batch: broken, count: 100, index: 7 });
        assert.equal(tally[3], 14, `twice the step for ${bad} at row ${row}`);
        tally = await addToTally(path, tally, { batch: broken, count: 100, index: 9 });
        tally = await addToTally(path, tally, { batch, count: 100, index: 10 });
        assert.equal(tally[3], 14, "a later step must not replace the first");
      }
    }
  });

  Deno.test(`tally() does not look at rows beyond the count, ${path} path`, async () => {
    const batch = batchOf(100, 1);
    batch.losses.fill(NaN, 90);
    const tally = await addToTally(path, emptyTally, { batch, count: 90, index: 0 });
    assert.equal(tally[3], noBadStep);
    assert(Number.isFinite(lossSumOf(tally)));
  });

  Deno.test(`confusion() counts label by prediction and keeps predictions and losses, ${path} path`, async () => {
    const rows = 131, count = 100, offset = 17, classes = 10;
    const { predictions, labels, losses } = batchOf(rows, 1);
    const dispatch = dispatchOver(rows, {
      kernel: "loss/confusion",
      label: "confusion",
      bindings: {
        predictions: inputRef("predictions"),
        labels: inputRef("labels"),
        counts: inputRef("counts"),
        losses: inputRef("losses"),
        kept_predictions: inputRef("kept"),
        kept_losses: inputRef("kept losses"),
      },
      params: { rows, classes },
    });
    const { integers } = await runKernels({
      path,
      dispatches: [dispatch, dispatch],
      buffers: {
        predictions,
        labels,
        losses,
        counts: classes * classes,
        kept: new Uint32Array(160).fill(99),
        "kept losses": new Uint32Array(160).fill(99),
      },
      step: { count, offset },
    });
    const counts = new Uint32Array(classes * classes), kept = new Uint32Array(160).fill(99);
    const lossWords = new Uint32Array(losses.buffer), keptLosses = kept.slice();
    for (let row = 0; row < count; row++) {
      counts[labels[row] * classes + predictions[row]] += 2;
      kept[offset + row] = predictions[row];
      keptLosses[offset + row] = lossWords[row];
    }
    assertSame(integers("counts"), counts, `${path} counts`);
    assertSame(integers("kept"), kept, `${path} kept`);
    assertSame(integers("kept losses"), keptLosses, `${path} kept losses`);
  });
}
